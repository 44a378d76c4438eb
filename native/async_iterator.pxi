# The iterator of asynchronous querysets.
#
# It is its own awaitable: `__anext__` returns it and SEND steps it, so a ready item costs
# no object but itself. Hence one state for the iteration and for the await under way:
# idle, suspended in a fetch (`pending`), suspended to be fair (`paused`), or finished
# (no `source`). While suspended there is no credit, so `step` tests one number.

cdef extern from *:
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    # An error stays set: told by the result.
    PySendResult PyIter_Send(PyObject *it, PyObject *value, PyObject **result) noexcept
    bint PyCoro_CheckExact(object obj) noexcept
    PyObject *PyExc_StopIteration
    PyObject *PyObject_CallNoArgs(PyObject *function) noexcept
    PyTypeObject *Py_TYPE(object obj) noexcept

cdef enum:
    CLOCK_EVERY = 32  # items
    FAIR_SHARE = 1_000_000  # ns

cdef str RUNNING = "%s(): asynchronous generator is already running"  # CPython's words

ctypedef PyObject *(*raw_step_function)(
    AsyncRowIterator iterator, PyObject *sent, bint *suspends
) noexcept


cdef object call_step(AsyncRowIterator iterator, object sent, bint *suspends):
    return iterator.step(sent, suspends)


cdef PyObject *next_step(PyObject *this) noexcept:
    """tp_iternext: NULL means an error, an item by StopIteration included."""
    cdef bint suspends = False
    cdef PyObject *item = (<raw_step_function> call_step)(
        <AsyncRowIterator> this, <PyObject *> None, &suspends
    )
    if suspends or item is NULL:
        return item
    return return_item(<AsyncRowIterator> this, item)


cdef PySendResult send_step(PyObject *this, PyObject *sent, PyObject **result) noexcept:
    """am_send: what 3.11's SEND and every PyIter_Send call."""
    cdef bint suspends = False
    result[0] = (<raw_step_function> call_step)(<AsyncRowIterator> this, sent, &suspends)
    if result[0] is NULL:
        return PYGEN_ERROR
    return PYGEN_NEXT if suspends else PYGEN_RETURN


cdef PyObject *return_item(AsyncRowIterator iterator, PyObject *item) noexcept:
    # Reusing the exception: 44 ns an item instead of 110. It keeps the item until the
    # next one, as the loop's variable does.
    cdef PyObject *stop
    if not can_reuse_stop_iteration(<PyObject *> iterator.stop):
        stop = PyObject_CallNoArgs(PyExc_StopIteration)
        if stop is NULL:
            Py_XDECREF(item)
            return NULL
        iterator.stop = steal_reference(stop)
    raise_stop_iteration(<PyObject *> iterator.stop, item)
    return NULL


cdef object awaitable_iterator(object awaitable):
    """What `await` steps."""
    cdef AsyncSlots *slots
    if PyCoro_CheckExact(awaitable):
        return awaitable
    slots = (<ClassStruct *> Py_TYPE(awaitable)).tp_as_async
    if slots is NULL or slots.am_await is NULL:
        raise TypeError(f"a source returns awaitables or batches, not {awaitable!r}")
    return slots.am_await(awaitable)


@cython.final
cdef class AsyncRowIterator:
    """Items of the batches that awaiting `source()` gives until it gives None.

    `source()` may also return a batch (or None) it has at hand instead of an awaitable.
    An error or a cancellation inside a fetch, or an error while an item is built, ends
    the iteration; then, or when the iterator is dropped before its end,
    `source.abandon()` is called if there is one: it must not block. `aclose()` awaits
    `source.aclose()`, or calls `abandon()`. After about 1 ms of ready items the loop
    gets control once.
    """

    def __init__(self, source not None):
        self.source = source

    def __aiter__(self):
        return self

    def __anext__(self):
        if self.pending is not None or self.paused:
            self.check_idle("anext")
        return self

    def __await__(self):
        return self

    def __next__(self):
        return self.drive(None)

    def send(self, value):
        """Step the await under way, as a coroutine's send()."""
        return self.drive(value)

    def throw(self, *error):
        """Raise inside the await under way, as a coroutine's throw()."""
        cdef object result
        if self.running:
            self.check_idle("athrow")
        if self.pending is None:
            # In a pause nothing is lost: the iteration may go on.
            self.paused = False
            self.since = 0
            # As of a generator that has not begun: it raises them, or refuses them.
            return (each for each in ()).throw(*error)
        self.waiting_for = None
        self.running = True
        try:
            result = self.pending.throw(*error)
        except StopIteration as stop:
            self.running = False
            self.pending = None
            self.adopt(stop.value)
            return self.drive(None)
        except StopAsyncIteration as error:
            self.running = False
            self.abandon()
            raise RuntimeError(NOT_THE_END) from error
        except BaseException:
            self.running = False
            self.abandon()
            raise
        self.running = False
        self.remember(result)
        return result

    def close(self):
        """Drop the await under way, as a coroutine's close(). To end all: aclose()."""
        cdef object pending = self.pending
        if self.running:
            self.check_idle("aclose")
        self.paused = False
        self.since = 0
        if pending is not None:
            self.pending = None
            try:
                close_awaitable(pending)
            finally:
                self.abandon()

    async def aclose(self):
        """End the iteration. Does nothing when it has ended."""
        self.check_idle("aclose")
        source = self.finish()
        if hasattr(source, "aclose"):
            await source.aclose()
        elif hasattr(source, "abandon"):
            source.abandon()

    def __del__(self):
        cdef object pending = self.pending
        self.pending = None
        try:
            if pending is not None:
                close_awaitable(pending)
        finally:
            self.abandon()

    cdef object step(self, object sent, bint *suspends):
        """The next item, or what to yield to the loop (then `suspends` is set)."""
        if self.credit > 0 and self.position < self.rows:
            self.credit -= 1
            return self.take()
        return self.slow_step(sent, suspends)

    cdef object slow_step(self, object sent, bint *suspends):
        cdef object yielded
        if self.running:
            self.check_idle("anext")
        if self.paused:
            self.paused = False
            self.since = 0
        while True:
            if self.pending is not None:
                yielded = self.resume(sent, suspends)
                if suspends[0]:
                    return yielded
            elif self.source is None:
                raise StopAsyncIteration
            elif self.position >= self.rows:
                self.fetch()
                sent = None
            elif self.owes_pause():
                self.paused = suspends[0] = True
                return None
            else:
                self.credit = CLOCK_EVERY - 1
                return self.take()

    cdef object take(self):
        cdef Batch batch = self.batch  # a reference: a converter may end the iteration
        cdef PyObject *item
        self.position += 1
        item = raw_item(batch, self.position - 1)
        if item is NULL:
            self.failed()
        return steal_reference(item)

    cdef bint owes_pause(self) except -1:
        cdef long long now = monotonic_ns()
        if self.since == 0:
            self.since = now
        return now - self.since > FAIR_SHARE

    cdef int fetch(self) except -1:
        cdef object awaitable
        self.batch = None
        self.position = self.rows = 0
        self.credit = 0
        try:
            awaitable = self.source()
            if awaitable is None or isinstance(awaitable, Batch):
                self.adopt(awaitable)
            else:
                self.pending = awaitable_iterator(awaitable)
        except (StopIteration, StopAsyncIteration) as error:
            self.abandon()
            raise RuntimeError(NOT_THE_END) from error
        except BaseException:
            self.abandon()
            raise
        return 0

    cdef object resume(self, object sent, bint *suspends):
        """Step the fetch; None and not suspended when it has given its batch."""
        cdef object pending = self.pending
        cdef object awaited = self.waiting_for
        cdef PyObject *result = NULL
        cdef PySendResult outcome
        # Two tasks that hold this same awaitable: the loop wakes the one that waits when
        # its future is done, so whoever comes before that is the other one.
        if awaited is not None and sent is None and not awaited.done():
            self.check_idle("anext")
        self.waiting_for = None
        self.running = True
        outcome = PyIter_Send(<PyObject *> pending, <PyObject *> sent, &result)
        self.running = False
        if outcome == PYGEN_NEXT:
            suspends[0] = True
            self.since = 0
            yielded = steal_reference(result)
            self.remember(yielded)
            return yielded
        self.pending = None
        if outcome == PYGEN_ERROR:
            self.failed()
        self.adopt(steal_reference(result))

    cdef int remember(self, object yielded) except -1:
        # The mark of what asyncio's tasks wait for; see `resume`.
        if hasattr(yielded, "_asyncio_future_blocking"):
            self.waiting_for = yielded
        return 0

    cdef int adopt(self, object batch) except -1:
        if batch is None:
            self.finish()
        elif isinstance(batch, Batch):
            self.batch = batch
            self.rows = self.batch.rows
        else:
            self.abandon()
            raise TypeError(f"a source gives batches or None, not {batch!r}")
        return 0

    cdef object drive(self, object sent):
        """A step with the item in a StopIteration of its own."""
        cdef bint suspends = False
        cdef object item = self.step(sent, &suspends)
        if suspends:
            return item
        raise StopIteration(item)

    cdef int check_idle(self, str method) except -1:
        if self.pending is not None or self.paused or self.running:
            raise RuntimeError(RUNNING % method)
        return 0

    cdef object finish(self):
        """Drop everything; return the source if the iteration had not ended."""
        source, self.source = self.source, None
        self.batch = None
        self.pending = self.waiting_for = None
        self.position = self.rows = 0
        self.credit = 0
        self.paused = False
        return source

    cdef void abandon(self):
        tell_abandoned(self.finish())

    cdef int failed(self) except -1:
        try:
            propagate_error()
        except (StopIteration, StopAsyncIteration) as error:
            self.abandon()
            raise RuntimeError(NOT_THE_END) from error
        except BaseException:
            self.abandon()
            raise


cdef void tell_abandoned(object source) noexcept:
    # Errors go to sys.unraisablehook: another one is on its way, or nobody is there.
    abandon = getattr(source, "abandon", None)
    if abandon is not None:
        abandon()


cdef int close_awaitable(object awaitable) except -1:
    close = getattr(awaitable, "close", None)
    if close is not None:
        close()
    return 0


set_await_slots(AsyncRowIterator, <void *> next_step, <void *> send_step)
