# A future for one round trip, whose task goes on in the callback that has the result.
#
# In: the task that awaits it. Out: the result of an operation of the driver's.

from asyncio import CancelledError, InvalidStateError
from contextvars import copy_context


# libpq's ConnStatusType: the connection is closed, or broken.
cdef enum:
    BAD = 1


ctypedef PyObject *(*raw_result_function)(Wait wait) noexcept


cdef PyObject *next_of_wait(PyObject *this) noexcept:
    """tp_iternext: itself once, then NULL, with the result in a StopIteration."""
    cdef PyObject *result = NULL
    cdef PyObject *stop
    if send_to_wait(this, <PyObject *> None, &result) == PYGEN_RETURN:
        stop = PyObject_CallNoArgs(PyExc_StopIteration)
        if stop is NULL:
            Py_XDECREF(result)
        else:
            raise_stop_iteration(stop, result)
            Py_XDECREF(stop)
        return NULL
    return result


cdef PySendResult send_to_wait(
    PyObject *this, PyObject *sent, PyObject **result
) noexcept:
    """am_send."""
    cdef Wait wait = <Wait> this
    if wait.state == PENDING:
        wait._asyncio_future_blocking = True
        Py_XINCREF(this)
        result[0] = this
        return PYGEN_NEXT
    if wait.state == RESOLVED:
        result[0] = <PyObject *> wait.value
        Py_XINCREF(result[0])
        return PYGEN_RETURN
    result[0] = (<raw_result_function> raise_result)(wait)
    return PYGEN_ERROR


cdef object raise_result(Wait wait):
    return wait.result()


cdef enum:
    PENDING
    RESOLVED
    FAILED
    CANCELLED


@cython.final
@cython.freelist(16)
cdef class Wait:
    """What a task awaits while the loop watches a socket: as asyncio's Future, but woken.

    A future of asyncio's schedules its callbacks, and the loop asks the system for all
    of its sockets once more before the task goes on. `resolve()` and `fail()`, called
    by the loop itself, take the task's step before they return. What is called
    elsewhere, `set_exception()` and `cancel()`, is scheduled as asyncio does.
    """

    def __init__(self, *, loop):
        self.loop = loop

    # ----- what asyncio asks of a future

    def get_loop(self):
        """Return the loop that the future belongs to."""
        return self.loop

    def add_done_callback(self, callback, *, context=None):
        """Have `callback(future)` called when the future is done, in `context`."""
        if context is None:
            context = copy_context()
        if self.state != PENDING:
            self.loop.call_soon(callback, self, context=context)
        elif self.callback is None:
            self.callback, self.context = callback, context
        else:
            if self.others is None:
                self.others = []
            self.others.append((callback, context))

    def remove_done_callback(self, callback):
        """Remove a callback; return how many times it was there."""
        cdef list kept = [each for each in self.callbacks() if each[0] != callback]
        cdef Py_ssize_t before = len(self.callbacks())
        self.callback = self.context = self.others = None
        for function, context in kept:
            self.add_done_callback(function, context=context)
        return before - len(kept)

    def cancel(self, msg=None):
        """Cancel the future; return False if it is done."""
        if self.state != PENDING:
            return False
        self.state, self.value = CANCELLED, msg
        self.schedule()
        return True

    def cancelled(self):
        """Tell whether the future was cancelled."""
        return self.state == CANCELLED

    def done(self):
        """Tell whether there is a result, an error or a cancellation."""
        return self.state != PENDING

    def result(self):
        """Return the result. Raises the error, CancelledError or InvalidStateError."""
        if self.state == RESOLVED:
            return self.value
        if self.state == FAILED:
            raise self.value
        raise self.no_result()

    def exception(self):
        """Return the error, None for a result. Raises as `result()` does otherwise."""
        if self.state == RESOLVED:
            return None
        if self.state == FAILED:
            return self.value
        raise self.no_result()

    def set_exception(self, exception):
        """Set the error; the task goes on in the loop's next turn."""
        self.settle(FAILED, exception)
        self.schedule()

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if self.state == PENDING:
            self._asyncio_future_blocking = True
            return self
        raise StopIteration(self.result())

    # ----- what the loop's callbacks call

    def resolve(self, result):
        """Set the result, and let the task go on. Nothing may follow in the caller."""
        self.settle(RESOLVED, result)
        self.wake()

    def fail(self, exception):
        """Set the error, and let the task go on. Nothing may follow in the caller."""
        self.settle(FAILED, exception)
        self.wake()

    cdef int settle(self, int state, value) except -1:
        if self.state != PENDING:
            raise InvalidStateError("the future is done")
        self.state, self.value = state, value
        return 0

    cdef int wake(self) except -1:
        callback, context = self.callback, self.context
        self.callback = self.context = None
        if self.others is not None:
            self.schedule()
        if callback is not None:
            context.run(callback, self)
        return 0

    cdef int schedule(self) except -1:
        cdef list callbacks = self.callbacks()
        self.callback = self.context = self.others = None
        for callback, context in callbacks:
            self.loop.call_soon(callback, self, context=context)
        return 0

    cdef list callbacks(self):
        cdef list found = [] if self.callback is None else [(self.callback, self.context)]
        return found if self.others is None else found + self.others

    cdef object no_result(self):
        if self.state == PENDING:
            return InvalidStateError("there is no result yet")
        return CancelledError() if self.value is None else CancelledError(self.value)


set_await_slots(Wait, <void *> next_of_wait, <void *> send_to_wait)
