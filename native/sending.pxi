# One statement whose rows are wanted whole, sent without a cursor.
#
# In: a wrapper, the text as psycopg keeps it, and parameters.
# Out: the result, in binary; or a batch of its rows.
# Next: `batches.pxi`.

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident() noexcept


# How many WaitingReads there are in this process, and how often it has been forked.
cdef Py_ssize_t readers = 0
cdef Py_ssize_t forks = 0


@cython.final
cdef class WaitingRead:
    """A call that waits for its turn and only reads, or a pipeline that is to be sent.

    While there is one, reads are not sent past those that wait.
    """

    def __cinit__(self):
        global readers
        self.forks = forks
        readers += 1

    def __dealloc__(self):
        global readers
        if self.forks == forks:
            readers -= 1


def forget_readers():
    """Count anew in a process that was forked: they wait in its parent."""
    global readers, forks
    readers = 0
    forks += 1


@cython.final
cdef class Sender:
    """What stands in the way of a statement, and what sends it.

    `watch_of` returns for a class of wrappers the ClassWatch of what is not called here
    of the methods `names`, of Django's `cursor` around psycopg's and of psycopg;
    `failed` raises what Django would for an error, `refuse` refuses in a coroutine;
    `round_trips` sends and waits, `in_transaction` sends a query where a BEGIN or
    SAVEPOINT may be due; `join` returns the results of one that goes with others'.
    The other arguments are Django's and psycopg's, by their names.
    """

    def __init__(
        self, watch_of, *, tuple names, connections, cursor, cursor_wrapper,
        dict utils, settings, apps, running_loop, refuse, tuple_row,
        Literals literals not None, merged, execute, result_format, failed,
        more_results, RoundTrips round_trips not None, in_transaction, join, binding_cursor,
        tuple integers, dict kinds, is_dumper, manager_of, forgotten, no_prepare,
        should_prepare,
    ):
        self.round_trips = round_trips
        self.watch_of = watch_of
        self.watches = {}
        self.names = names
        self.connections = connections
        self.cursor = cursor
        self.cursor_wrapper = cursor_wrapper
        self.utils = utils
        self.settings = settings
        self.apps = apps
        self.running_loop = running_loop
        self.refuse = refuse
        self.tuple_row = tuple_row
        self.literals = literals
        self.merged = merged
        self.execute = execute
        self.result_format = result_format
        self.failed = failed
        self.more_results = more_results
        self.binding_cursor = binding_cursor
        self.integers = dict.fromkeys(integers)
        self.kinds = kinds
        self.is_dumper = is_dumper
        self.manager_of = manager_of
        self.forgotten = forgotten
        self.no_prepare = no_prepare
        self.should_prepare = should_prepare
        self.in_transaction = in_transaction
        self.join = join

    cdef bint debugs(self) except -1:
        # As Django's settings keep it, once it was asked for.
        cdef dict own = <dict> PyObject_GenericGetDict(self.settings, NULL)
        debugs = own.get("DEBUG")
        return self.settings.DEBUG if debugs is None else debugs

    def unobserved(self, wrapper):
        """Return the open psycopg connection if the statement may skip the cursor."""
        return self.open_connection(wrapper, False)

    cdef object open_connection(self, wrapper, bint binds, bint waits=True):
        # Where the caller must not wait it is None too.
        if not is_right(watch_for(type(wrapper), self.watches, self.watch_of)):
            return None
        cdef dict own = wrapper.__dict__
        for name in self.names:
            if name in own:
                return None
        if (
            self.utils["CursorWrapper"] is not self.cursor_wrapper
            or wrapper.force_debug_cursor
            or wrapper.execute_wrappers
            or self.debugs()
            or not self.apps.ready
        ):
            return None
        # What Django does with a connection before it makes a cursor.
        if waits and self.running_loop() is not None:
            self.refuse()
        if wrapper.health_check_enabled:
            if not waits:
                return None
            wrapper.close_if_health_check_failed()
        raw = wrapper.connection
        if raw is None or raw.pgconn.status == BAD:
            if not waits:
                return None
            wrapper.ensure_connection()
            raw = wrapper.connection
            if raw.pgconn.status == BAD:
                return None  # in a transaction that is lost: a cursor says so
        if wrapper._thread_ident != PyThread_get_thread_ident():
            if not waits:
                return None
            wrapper.validate_thread_sharing()
            if "block" in own:
                return None  # in a thread of the block, which waits for a cursor's
        if (
            # Not by `isinstance()`: a proxy pretends.
            type(raw) not in self.connections
            or "cursor" in <dict> PyObject_GenericGetDict(raw, NULL)
            or not (
                raw.cursor_factory is self.cursor
                or (binds and raw.cursor_factory is self.binding_cursor)
            )
            or raw._pipeline
            or raw.row_factory is not self.tuple_row
        ):
            return None
        return raw

    cdef bint goes_with_others(self, raw) except -1:
        """Whether a BEGIN or SAVEPOINT is due, which a text goes together with."""
        if type(raw) is not self.round_trips.view or raw._autocommit:
            return False
        due = raw.due
        return raw.pgconn.transaction_status == 0 or (due is not None and due.names)

    cpdef Bound bound(self, raw, bytes template, tuple params):
        """The statement with its values beside it, if the connection is asked for that.

        None too where psycopg has to write them. Each has the type that its literal
        would have in the text.
        """
        if raw.cursor_factory is not self.binding_cursor and (
            raw._prepared.prepare_threshold is None or self.goes_with_others(raw)
        ):
            return None
        cdef Bound new = Bound.__new__(Bound)
        cdef list types = []
        cdef list places = []
        new.values, new.formats = [], []
        get_dumper = raw.adapters.get_dumper
        seen = None
        for each in params:
            kind = type(each)
            if kind is not seen:
                if kind not in self.integers and kind not in self.kinds:
                    return None
                if not self.is_dumper(kind, get_dumper(kind, self.literals.text)):
                    return None
                seen = kind
            if kind in self.integers:
                if INT4_LEAST <= each <= INT4_MOST:
                    oid, value, size = INT4, each, 4
                elif INT8_LEAST <= each <= INT8_MOST:
                    oid, value, size = INT8, each, 8
                else:
                    return None
                new.values.append(int(value).to_bytes(size, "big", signed=True))
                new.formats.append(1)
            else:
                oid, dump, of_value = self.kinds[kind]
                value = None if each is None else dump(each)
                if value is None and each is not None:
                    return None
                new.values.append(value)
                new.formats.append(of_value)
            types.append(oid)
            places.append(b"$%d" % len(types))
        if len(types) > MOST_VALUES:
            return None
        new.query, new.types = template % tuple(places), tuple(types)
        return new

    def send(
        self, wrapper, raw, sql, params, bytes template=None, Bound bound=None,
        list arrays=None,
    ):
        """Execute a statement and return its result. Raises Django's errors.

        A `template` of the same `sql` saves reading it and counting the parameters.
        With `bound` its values are sent beside it. `arrays` are the parameters that are
        not written into it: bytes, OID, format.
        """
        if wrapper.needs_rollback:
            wrapper.validate_no_broken_transaction()
        try:
            if bound is not None:
                return self.round_trips.run(raw, bound_operation(self, raw, bound))
            if template is None:
                query = self.merged(raw, sql, params)
            else:
                query = template % tuple(self.literals.written(raw, params))
            if arrays is None and not raw._autocommit and (
                raw.pgconn.transaction_status != 2  # PQTRANS_INTRANS
                or getattr(raw, "due", None) is not None
            ):
                return self.in_transaction(raw, query)
            if readers != 0 and arrays is None and is_right(self.round_trips.watch):
                results = self.join(raw, query)
                if results is not None:
                    return only(self, raw, results)
            return self.round_trips.run(raw, operation(self, raw, query, arrays))
        except Exception as error:
            return self.failed(wrapper, error)


def operation(Sender sender not None, raw, query, list arrays=None):
    """Yield what psycopg waits for while it executes a query; return the result."""
    if not raw._autocommit:
        yield from raw._start_query()
    pgconn = raw.pgconn
    if arrays is None:
        pgconn.send_query_params(query, None, result_format=sender.result_format)
    else:
        pgconn.send_query_params(query, *zip(*arrays), sender.result_format)
    return only(sender, raw, (yield from sender.execute(pgconn)))


cdef object only(Sender sender, raw, list results):
    """The one result of a statement."""
    if len(results) == 1 and (results[0].status == 1 or results[0].status == 2):
        return results[0]  # PGRES_COMMAND_OK, PGRES_TUPLES_OK
    return sender.more_results(raw, results)


@cython.final
cdef class Bound:
    """A statement whose values are sent beside it.

    `query` and `types` are what psycopg knows a prepared statement by.
    """


cdef object INT4 = 23
cdef object INT4_LEAST = -(2**31)
cdef object INT4_MOST = 2**31 - 1
cdef object INT8 = 20
cdef object INT8_LEAST = -(2**63)
cdef object INT8_MOST = 2**63 - 1
cdef enum:
    MOST_VALUES = 65535  # the protocol counts them in two bytes


def bound_operation(Sender sender not None, raw, Bound bound not None, bint again=False):
    """Yield what psycopg waits for while it executes a query; return the result.

    psycopg's own manager tells whether the server is to prepare it first. What the
    server has forgotten is prepared `again` once: a pooler may forget it each time.
    """
    if not raw._autocommit:
        yield from raw._start_query()
    pgconn, manager = raw.pgconn, sender.manager_of(raw)
    if manager._to_flush:  # before one is prepared: it may be a DEALLOCATE ALL
        yield from manager.maintain_gen(raw)
    prepare, name = manager.get(bound)
    if prepare is sender.no_prepare:
        pgconn.send_query_params(
            bound.query, bound.values, bound.types, bound.formats, sender.result_format
        )
    else:
        if prepare is sender.should_prepare:
            pgconn.send_prepare(name, bound.query, bound.types)
            results = yield from sender.execute(pgconn)
            if len(results) != 1 or results[0].status != 1:
                return sender.more_results(raw, results)
        pgconn.send_query_prepared(
            name, bound.values, bound.formats, sender.result_format
        )
    key = manager.maybe_add_to_cache(bound, prepare, name)
    results = yield from sender.execute(pgconn)
    if key is not None:
        manager.validate(key, prepare, name, results)
    if len(results) == 1 and (results[0].status == 1 or results[0].status == 2):
        return results[0]
    if (
        not again
        and prepare is not sender.no_prepare
        and len(results) == 1
        and sender.forgotten(manager, bound, name, results[0])
        and pgconn.transaction_status == 0  # PQTRANS_IDLE
    ):
        # The server has refused to run it: nothing is sent twice.
        return (yield from bound_operation(sender, raw, bound, True))
    return sender.more_results(raw, results)


@cython.final
cdef class Reader:
    """What reads the rows of a statement that `sender` sends.

    `decoders_of` returns a session's decoders, which were made with the `_loads` of
    `json_loader`; `converted` the batch of a result that comes for the first time;
    `failed` is told of an error; `takes_arrays` tells whether arrays may be sent in a
    session.
    """

    def __init__(
        self, Sender sender not None, *, decoders_of, json_loader, converted, failed,
        takes_arrays,
    ):
        self.sender = sender
        self.decoders_of = decoders_of
        self.json_loader = json_loader
        self.converted = converted
        self.failed = failed
        self.takes_arrays = takes_arrays

    cpdef object read(
        self, wrapper, Plan plan, types, Py_ssize_t columns, sql, params,
        bytes template, bint binds=False, list arrays=None,
    ):
        """Return the rows of a query as a batch, None where a cursor is to read them.

        `binds` tells that the values may be sent beside the text, where the connection
        is asked to prepare.
        """
        cdef Bound bound = None
        oids = types.oids
        if oids is None:
            return None
        binds = binds and template is not None and arrays is None
        raw = self.sender.open_connection(wrapper, binds)
        if raw is None:
            return None
        decoders = self.decoders(raw)
        # Django gives a cursor the wrapper's time zone where it is another.
        if decoders.zone != wrapper.timezone:
            return None
        if (
            oids not in <dict?> decoders.readable
            or raw.pgconn.parameter_status(CLIENT_ENCODING) != UTF8
        ) and not decoders.reads_binary(raw, oids):
            return None
        if arrays is not None and not self.takes_arrays(raw):
            return None
        if binds:
            bound = self.sender.bound(raw, template, params)
            if bound is None and raw.cursor_factory is self.sender.binding_cursor:
                return None
        try:
            result = self.sender.send(
                wrapper, raw, sql, params, template, bound, arrays
            )
            if result.status != 2:
                self.failed(wrapper, types, None)
        except BaseException as error:
            # Whoever has the error has the wrapper, in its frames.
            self.failed(wrapper, types, error)
            raise
        return self.batch_of(wrapper, raw, decoders, plan, types, columns, result)

    cdef Batch batch_of(
        self, wrapper, raw, decoders, Plan plan, types, Py_ssize_t columns, result
    ):
        """The rows of a result."""
        batch = self.known_batch(raw, decoders, plan, types, result)
        if batch is not None:
            return batch
        return self.converted(wrapper, raw, decoders, plan, types, columns, result)

    cdef Batch known_batch(self, raw, decoders, Plan plan, types, result):
        """The rows of a result that is decoded as one before; None for a first one."""
        known = (<dict?> decoders.readable).get(types.oids)
        if (
            known is not None
            and (<tuple> known)[1] == raw.pgconn.parameter_status(TIME_ZONE)
        ):
            try:
                return self.batch(plan, (<tuple> known)[0], result)
            except ValueError:
                pass  # a column has another type now
        return None

    cdef object decoders(self, raw, bint asks=True):
        """The decoders of a session, as `decoders_of()`, if it is asked, returns them."""
        cdef dict own = <dict> PyObject_GenericGetDict(raw, NULL)
        session = own.get("session")
        if session is not None:
            own = <dict> PyObject_GenericGetDict(session, NULL)
        found = own.get("_daf_decoders")
        if found is None or found.json_loads is not self.json_loader._loads:
            return self.decoders_of(raw) if asks else None
        return found

    cdef object batch(self, Plan plan, decoder, result):
        address = result.pgresult_ptr
        return ResultBatch(plan, decoder, result, address, decoder.check(address))


cdef bytes TIME_ZONE = b"TimeZone"
cdef bytes CLIENT_ENCODING = b"client_encoding"
cdef bytes UTF8 = b"UTF8"
