# A set of `threading.local` values: which thread it is for, and whether it has it now.

from cpython.pythread cimport (
    NOWAIT_LOCK, WAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock,
    PyThread_free_lock, PyThread_release_lock, PyThread_type_lock,
)


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


@cython.final
@cython.no_gc
cdef class LentThreadLocals:
    """The `threading.local` values of the thread that made this, for others meanwhile.

    That thread calls `lend()` before it waits for another, and `take_back()` before it
    goes on. In between `call()` has the values in place, in one thread at a time; the
    lender waits for it. A call for which they are not to be had has those of
    `otherwise`, a set or None.
    """

    cdef thread_locals values
    cdef PyThread_type_lock lock
    cdef uint64_t lender
    # The thread that has the lock, and the values in place; 0 while they are aside.
    cdef uint64_t holder
    cdef object otherwise

    def __cinit__(self, otherwise):
        self.lender = self.holder = PyThreadState_GetID(PyThreadState_Get())
        self.otherwise = otherwise
        self.lock = PyThread_allocate_lock()
        if self.lock is NULL:
            raise MemoryError
        PyThread_acquire_lock(self.lock, WAIT_LOCK)

    def __dealloc__(self):
        free_thread_locals(&self.values)
        if self.lock is not NULL:
            PyThread_free_lock(self.lock)

    def is_here(self):
        """Tell whether the caller is the thread that made this, and has its values."""
        cdef uint64_t thread = PyThreadState_GetID(PyThreadState_Get())
        return thread == self.lender and thread == self.holder

    def lend(self):
        """Put the values aside for others, where `is_here()`."""
        if self.is_here():
            self.put_aside(PyThreadState_Get())

    def take_back(self):
        """Put the values in place in the thread that made this; return if it was so."""
        cdef PyThreadState *thread = PyThreadState_Get()
        if PyThreadState_GetID(thread) != self.lender or self.is_here():
            return False
        # Not to be interrupted: the thread would be left without its values.
        with nogil:
            PyThread_acquire_lock(self.lock, WAIT_LOCK)
        self.put_in_place(thread)
        return True

    def call(self, function, *args):
        """Call `function` with the values in place, or those there are otherwise."""
        cdef PyThreadState *thread = PyThreadState_Get()
        if self.holder == PyThreadState_GetID(thread):
            return function(*args)
        if not PyThread_acquire_lock(self.lock, NOWAIT_LOCK):
            if self.otherwise is None:
                return function(*args)
            return self.otherwise.call(function, *args)
        self.put_in_place(thread)
        try:
            return function(*args)
        finally:
            self.put_aside(thread)

    cdef int put_in_place(self, PyThreadState *thread) except -1:
        self.holder = PyThreadState_GetID(thread)
        return exchange_thread_locals(thread, &self.values)

    cdef int put_aside(self, PyThreadState *thread) except -1:
        cdef int done = exchange_thread_locals(thread, &self.values)
        self.holder = 0
        PyThread_release_lock(self.lock)
        return done
