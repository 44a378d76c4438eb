# Reads of a block that are sent before their call has entered its greenlet.
#
# In: a call that is one read, and the worker that serves it. Out: what its task awaits,
# then the rows. Whatever is not as usual, and every error, is seen to in the greenlet.
# Next: `waiting.pxi`.

from types import FunctionType, MethodType


cdef enum:
    OF_GET = 1  # the only row
    OF_QUERYSET  # all rows, which the queryset keeps
    OF_VALUE  # a value made of them
    OF_LED  # the same, of the rows that Django's method looks at
    OF_AGGREGATE  # the same, of what it is called with
    OF_ONLY  # as OF_LED, where there has to be a row
    OF_BULK  # the same, by their keys


@cython.final
cdef class StraightReads:
    """Begins calls that are one read of a block's connection, where nothing waits first.

    A call enters its greenlet, leaves it to wait, enters and leaves it again: a fifth
    of what a `get()` costs. Here it never does, unless something is not as usual.
    `methods` has for Django's methods what their rows become, the kind of their
    statement or the method's name, and what is called with the QuerysetCall and the rows
    in any other case; `filter_by` and `limit` are the steps of `get()`.
    """

    def __cinit__(
        self, KnownStatements statements not None, *, dict methods, filter_by, limit
    ):
        self.statements = statements
        self.methods = methods
        self.filter_by = filter_by
        self.limit = limit

    def begin(self, worker, list call not None):
        """Return the read that a call is, sent; None where the call has to be made.

        `call` is its keyword arguments, its arguments and its function: empty then.
        """
        cdef KnownStatements statements = self.statements
        cdef Bridge bridge = statements.routes.bridge
        cdef PyThreadState *thread
        function = call[2]
        if (
            type(function) is not MethodType
            # What else a method may be made of may have no hash.
            or type(function.__func__) is not FunctionType
        ):
            return None
        what = self.methods.get(function.__func__)
        if (
            what is None
            or readers != 0
            or statements.verify is not None
            or statements.reader is None
            or bridge.names["timed_step"] is not None
            or type(bridge.getcurrent()) is bridge.worker
        ):
            return None
        cdef QuerysetCall asked = QuerysetCall(function.__self__, call[1], call[0])
        known = self.known(asked, <tuple?> what)
        if known is None:
            return None
        read = self.read(known, worker)
        if read is None:
            give_back(known)
            return None
        read.call, read.what = asked, <tuple> what
        # Tools show what is in the frames around a query: the queryset is in none.
        call.clear()
        read.begin(statements.reader.sender.round_trips)
        thread = PyThreadState_Get()
        if PyThreadState_GetID(thread) == bridge.counted:
            bridge.steps += 1
        return read

    cdef StatementRun known(self, QuerysetCall call, tuple what):
        cdef KnownStatements statements = self.statements
        cdef dict values = <dict> PyObject_GenericGetDict(call.queryset, NULL)
        path = statements.steps.path_of(values, ALONE)
        kind = what[1]
        if what[0] == OF_GET:
            found = statements.steps.of_get(
                values, path, self.filter_by, self.limit, call.args, call.kwargs, ALONE
            )
            path = <Path> found if type(found) is Path else None
        elif what[0] == OF_AGGREGATE:
            kind = statements.steps.keys.key_of_aggregates(kind, call.args, call.kwargs)
            if type(kind) is str:
                return None
        elif what[0] == OF_BULK:
            path = statements.steps.bulk(
                values, path, self.filter_by, call.args, call.kwargs
            )
        elif call.kwargs:
            return None
        elif what[0] == OF_LED or what[0] == OF_ONLY:
            path, kind = statements.steps.led(values, path, kind, call.args), None
        elif call.args:
            return None
        if path is None:
            return None
        if kind is None:
            if values["_prefetch_related_lookups"]:
                return None
            kind = statements.kind_of_rows(values)
            if kind is None:
                return None
        return statements.known(call, values, path, kind, None, False)

    cdef StraightRead read(self, StatementRun known, worker):
        """The read of a statement, which has its turn; None where something comes first."""
        cdef KnownStatements statements = self.statements
        cdef Reader reader = statements.reader
        cdef Sender sender = reader.sender
        cdef RoundTrips trips = sender.round_trips
        block = value_of(statements.routes.entered_block)
        if block is None or not block.open or block.loop is not worker.loop:
            return None
        wrapper = statements.routes.built(block, known.alias)
        if wrapper is None or not known.keeps or known.arrays:
            return None
        raw = sender.open_connection(wrapper, False, False)
        if (
            raw is None
            or type(raw) is not trips.view
            or not holds(trips.watch)
            or wrapper.needs_rollback
            or (known.statement.binds and raw._prepared.prepare_threshold is not None)
        ):
            return None
        decoders = reader.decoders(raw, False)
        pgconn = raw.pgconn
        if (
            decoders is None
            or decoders.zone != wrapper.timezone
            or known.types.oids is None
            or known.types.oids not in <dict?> decoders.readable
            or pgconn.parameter_status(CLIENT_ENCODING) != UTF8
        ):
            return None
        if not raw._autocommit and (
            pgconn.transaction_status != 2 or raw.due is not None
        ):
            return None
        session, gate = raw.session, raw.gate
        if (
            raw.returned
            or raw.unsettled
            or session.channel is None
            or session.forks != trips.names["_forks"]
        ):
            return None
        try:
            query = known.template % tuple(sender.literals.written(raw, known.params))
        except Exception:
            return None  # which is raised where it is to be
        if not trips.turns.take_for(gate, worker):
            return None
        statements.steps.hits += 1
        known.statement.used = statements.steps.clock
        cdef StraightRead new = StraightRead.__new__(StraightRead)
        new.statements, new.known, new.worker = statements, known, worker
        new.wrapper, new.raw, new.gate, new.channel = wrapper, raw, gate, session.channel
        new.decoders, new.gen = decoders, operation(sender, raw, query)
        return new


@cython.final
cdef class StraightRead(RoundTrip):
    """A read that has been sent. It holds its gate for its worker, until it ends.

    The task awaits `wait`. How that has ended is told with `end()`, or `error`; then
    `go_on()` is to be called in the worker, unless `end()` was True.
    """

    @cython.nonecheck(True)
    def end(self, value):
        """Take what the operation has returned; tell whether the call has ended.

        Then the worker has what it has returned or raised.
        """
        cdef Bridge bridge = self.statements.routes.bridge
        cdef KnownStatements statements = self.statements
        cdef Batch batch
        cdef list rows
        cdef int becomes = self.what[0]
        self.value = value
        if self.gate.waiting or self.gate.units.waiting or value.status != 2:
            return False
        batch = statements.reader.known_batch(
            self.raw, self.decoders, self.known.plan, self.known.types, value
        )
        if batch is None or batch.rows > statements.many:
            return False
        if batch.rows != 1 and (becomes == OF_GET or becomes == OF_ONLY):
            return False
        self.gate.busy = False
        try:
            rows = statements.built(self.known, batch)
            if becomes == OF_GET:
                self.worker.outcome = rows[0]
            elif becomes == OF_QUERYSET:
                self.call.queryset._result_cache = rows
            else:
                self.worker.outcome = self.what[2](self.call, rows)
        except BaseException as error:
            self.worker.failure = error
        bridge.end_call(self.worker)
        return True

    @cython.nonecheck(True)
    def go_on(self):
        """Do in the call what is left of it."""
        cdef KnownStatements statements = self.statements
        cdef Reader reader = statements.reader
        known = self.known
        try:
            try:
                try:
                    if self.value is None:
                        self.value = self.result(statements.routes.bridge)
                finally:
                    release(self.gate)
            except Exception as error:
                self.value = reader.sender.failed(self.wrapper, error)
            if self.value.status != 2:
                reader.failed(self.wrapper, known.types, None)
        except BaseException as error:
            reader.failed(self.wrapper, known.types, error)
            raise
        batch = reader.batch_of(
            self.wrapper, self.raw, self.decoders, known.plan, known.types,
            known.statement.columns, self.value,
        )
        return self.what[2](self.call, statements.built(known, batch))
