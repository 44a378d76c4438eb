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
    void copy_thread_locals(thread_locals *values, thread_locals *copy) noexcept
    void begin_sharing(thread_locals *values, thread_locals *second) noexcept
    int tell_new_locals(PyThreadState *second, thread_locals *values) except -1


@cython.final
@cython.no_gc
cdef class ThreadLocals:
    """`threading.local` values of their own, for some of the calls in a thread.

    In place only while `call()` runs, and only in the thread that made the set; where
    they are `for_threads`, those share them that the calls wait for.
    """

    cdef thread_locals values
    cdef uint64_t thread
    cdef bint in_place
    cdef readonly bint for_threads

    def __cinit__(self, bint for_threads=False):
        self.thread = PyThreadState_GetID(PyThreadState_Get())
        self.for_threads = for_threads

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

    def shared(self):
        """Return the values for another thread, to be asked for where the calls are."""
        return SharedThreadLocals(self)

    def __bool__(self):
        """Tell whether a call has set or read a value since the last `clear()`."""
        return self.in_place or has_thread_locals(&self.values)


@cython.final
@cython.no_gc
cdef class SharedThreadLocals:
    """The values of a set, for a second thread: each sees what the other sets.

    Before 3.13 a `threading.local` that only one of them has used is known to the other
    when `call()` begins or ends, or that thread calls `tell_new()`.
    """

    cdef thread_locals of_set
    cdef thread_locals values
    cdef bint in_place

    def __cinit__(self, ThreadLocals of_set not None):
        cdef thread_locals current
        cdef PyThreadState *thread = PyThreadState_Get()
        if not of_set.in_place:
            copy_thread_locals(&of_set.values, &self.of_set)
        elif PyThreadState_GetID(thread) == of_set.thread:
            memset(&current, 0, sizeof(thread_locals))
            exchange_thread_locals(thread, &current)
            copy_thread_locals(&current, &self.of_set)
            exchange_thread_locals(thread, &current)

    def __dealloc__(self):
        free_thread_locals(&self.values)
        free_thread_locals(&self.of_set)

    def call(self, function, *args):
        """Call `function` with the values in place, in any thread."""
        cdef PyThreadState *thread = PyThreadState_Get()
        if self.in_place:
            return function(*args)
        begin_sharing(&self.of_set, &self.values)
        exchange_thread_locals(thread, &self.values)
        self.in_place = True
        try:
            tell_new_locals(thread, &self.of_set)
            try:
                return function(*args)
            finally:
                tell_new_locals(thread, &self.of_set)
        finally:
            self.in_place = False
            exchange_thread_locals(thread, &self.values)

    def tell_new(self):
        """Where `call()` runs: tell both of what they do not share yet."""
        if self.in_place:
            tell_new_locals(PyThreadState_Get(), &self.of_set)


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
