# A set of `threading.local` values: which thread it is for, and whether it has it now.


cdef extern from "thread_locals.h":
    ctypedef struct PyThreadState:
        pass

    ctypedef struct thread_locals:
        pass

    PyThreadState *PyThreadState_Get() noexcept
    uint64_t PyThreadState_GetID(PyThreadState *thread) noexcept
    int exchange_thread_locals(PyThreadState *thread, thread_locals *other) except -1
    bint has_thread_locals(thread_locals *values) noexcept
    void free_thread_locals(thread_locals *values) noexcept


@cython.final
@cython.no_gc
cdef class ThreadLocals:
    """`threading.local` values of their own, for some of the calls in a thread.

    In place only while `call()` runs, and only in the thread that made the set.
    """

    cdef thread_locals values
    cdef uint64_t thread
    cdef bint in_place

    def __cinit__(self):
        self.thread = PyThreadState_GetID(PyThreadState_Get())

    def __dealloc__(self):
        free_thread_locals(&self.values)

    def call(self, function, *args):
        """Call `function` with the set in place."""
        cdef PyThreadState *thread = PyThreadState_Get()
        if self.in_place or PyThreadState_GetID(thread) != self.thread:
            return function(*args)
        exchange_thread_locals(thread, &self.values)
        self.in_place = True
        try:
            return function(*args)
        finally:
            self.in_place = False
            exchange_thread_locals(thread, &self.values)

    def clear(self):
        """Let go of the values. What is in place is not in the set, and stays."""
        cdef thread_locals values
        if not self.in_place:
            # What their finalizers set is kept for the next call, not freed with them.
            values = self.values
            memset(&self.values, 0, sizeof(thread_locals))
            free_thread_locals(&values)

    def __bool__(self):
        """Tell whether a call has set or read a value since the last `clear()`."""
        return self.in_place or has_thread_locals(&self.values)
