# A statement's turn on its connection, and the wait for what the server answers.
#
# In: a gate, a connection of which the socket is asked. Out: the turn; or what the
# caller waits for.
# Next: `waiting.pxi`.

@cython.final
cdef class Turns:
    """Takes a gate that is free, for a call that is the only one of its block.

    `entered_scope` and `outer_call` are the context variables of these names.
    """

    def __cinit__(self, Bridge bridge not None, *, entered_scope, outer_call):
        self.bridge = bridge
        self.entered_scope = entered_scope
        self.outer_call = outer_call

    def take(self, gate):
        """Take `gate` for a statement; return False where others are to be asked."""
        worker = self.bridge.getcurrent()
        return type(worker) is self.bridge.worker and self.take_for(gate, worker, True)

    cdef bint take_for(self, gate, worker, bint inside=False) except -1:
        """Take `gate` for a call that `worker` serves; False as `take()`.

        Its code asks that `inside` of it, else it has not begun.
        """
        scope = gate.innermost
        entered = value_of(self.entered_scope)
        if (
            gate.busy
            or not scope.open
            or scope is not (gate.root if entered is None else entered)
        ):
            return False
        if inside and entered is not None and not self.bridge.in_call_context(worker):
            # In a context of its own, it may have entered more than is seen there.
            return False
        units = gate.units
        calls = units.calls
        if not calls:
            # The first statement of most calls.
            if worker.call is not None or value_of(self.outer_call) is not None:
                return False
            units.calls = [worker]
            worker.held_gate = gate
        elif (<list> calls)[len(<list> calls) - 1] is not worker:
            return False
        elif worker.held_gate is not gate:
            return False
        gate.busy = True
        return True


cdef int release(gate) except -1:
    """Let the next statement through."""
    gate.busy = False
    if gate.waiting or gate.units.waiting:
        gate.release()
    return 0


@cython.final
cdef class Readable:
    """What the loop calls when a channel may be read: most answers are there, whole.

    `ready` is what psycopg's operations are told then.
    """

    def __init__(self, channel, ready):
        self.channel = channel
        self.ready = ready

    def __call__(self):
        cdef PyObject *found = NULL
        cdef PySendResult outcome
        channel = self.channel
        gen, future = channel._gen, channel._future
        if gen is None or (<Wait?> future).state != PENDING:
            return channel.readable()
        outcome = PyIter_Send(<PyObject *> gen, <PyObject *> self.ready, &found)
        if outcome == PYGEN_NEXT:
            return channel.advance(self.ready, steal_reference(found))
        value = error = None
        if outcome == PYGEN_RETURN:
            value = steal_reference(found)
        else:
            try:
                propagate_error()
            except BaseException as exc:
                error = exc
        # Not while an exception is handled: a task may go on from here.
        if (
            error is not None
            or channel._timer is not None
            or channel._writing
            or channel._pgconn.status == BAD
        ):
            return channel.settle(value, error)
        channel._gen = channel._future = None
        (<Wait> future).resolve(value)


@cython.final
cdef class RoundTrips:
    """Waits for the operations of a block's connection, where nothing is unusual.

    `view` is the class of these connections, whose methods are its own while `watch`
    holds; `names` are the globals of its module, `reads` is what an operation yields
    that waits to read.
    """

    def __init__(
        self, Bridge bridge not None, Turns turns not None, *, view,
        ClassWatch watch not None, dict names, long reads,
    ):
        self.bridge = bridge
        self.turns = turns
        self.view = view
        self.watch = watch
        self.names = names
        self.reads = reads

    cdef object run(self, raw, gen):
        """Do as `with raw.lock: return raw.wait(gen)`."""
        if type(raw) is not self.view or not holds(self.watch):
            with raw.lock:
                return raw.wait(gen)
        gate = raw.gate
        if not self.turns.take(gate):
            gate.acquire()
        try:
            # Perhaps while we waited: now the session may be another block's.
            if raw.returned or raw.unsettled:
                raw.settle()
            return self.wait(raw, gen)
        finally:
            release(gate)

    cdef object wait(self, raw, gen):
        cdef RoundTrip trip
        session = raw.session
        if (
            session.channel is None
            or session.forks != self.names["_forks"]
            or self.bridge.waiting_worker() is None
        ):
            return raw.wait(gen)
        trip = RoundTrip.__new__(RoundTrip)
        trip.raw, trip.channel, trip.gen = raw, session.channel, gen
        trip.begin(self)
        return trip.result(self.bridge)

    cdef object future(self, channel, pgconn, gen, wants):
        cdef Wait future
        if wants != self.reads or not channel._reading or pgconn.status == BAD:
            return channel.drive(gen, wants)
        future = Wait.__new__(Wait)
        future.loop = channel._loop
        channel._gen = gen
        channel._future = future
        return future


@cython.freelist(8)
cdef class RoundTrip:
    """An operation of a connection: `begin()` sends it, and a worker has its result.

    `wait` is what is awaited for it; `error` with which that, or the beginning, ended.
    """

    cdef int begin(self, RoundTrips trips) except -1:
        cdef PyObject *found = NULL
        cdef PySendResult outcome
        pgconn = self.raw.pgconn
        self.before = pgconn.transaction_status
        outcome = PyIter_Send(<PyObject *> self.gen, <PyObject *> None, &found)
        try:
            if outcome == PYGEN_ERROR:
                propagate_error()
            elif outcome == PYGEN_RETURN:
                self.value = steal_reference(found)
            else:
                self.wants = steal_reference(found)
                self.wait = trips.future(self.channel, pgconn, self.gen, self.wants)
        except BaseException as error:
            self.error = error
        return 0

    cdef object result(self, Bridge bridge):
        """What it has returned, once a worker has waited for that."""
        error, self.error = self.error, None
        if self.wants is None:
            if error is None:
                return self.value
            self.raw.begin_failed(error)
            raise error
        try:
            if error is not None:
                raise error
            return bridge.getcurrent().parent.switch(self.wait)
        except BaseException as exc:
            if isinstance(exc, bridge.greenlet_exit):
                bridge.getcurrent().abandoned = True
            self.raw.wait_failed(self.gen, self.channel, exc, self.before)
            raise
