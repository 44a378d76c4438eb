# One statement whose rows are wanted whole, sent without a cursor.
#
# In: a wrapper, the text as psycopg keeps it, and parameters.
# Out: the result, in binary.
# Next: `round_trips.pxi`.

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


cdef inline object attribute(obj, dict own, str name):
    """An attribute, most likely its own: to ask for one costs four times as much."""
    found = own.get(name, ABSENT)
    return getattr(obj, name) if found is ABSENT else found


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
        if not holds(watch_for(type(wrapper), self.watches, self.watch_of)):
            return None
        cdef dict own = wrapper.__dict__  # which builds a lazy one
        for name in self.names:
            if name in own:
                return None
        if (
            self.utils["CursorWrapper"] is not self.cursor_wrapper
            or attribute(wrapper, own, "force_debug_cursor")
            or attribute(wrapper, own, "execute_wrappers")
            or self.debugs()
            or not self.apps.ready
        ):
            return None
        # What Django does with a connection before it makes a cursor.
        if waits and self.running_loop() is not None:
            self.refuse()
        if attribute(wrapper, own, "health_check_enabled"):
            if not waits:
                return None
            wrapper.close_if_health_check_failed()
        raw = attribute(wrapper, own, "connection")
        if raw is None or raw.pgconn.status == BAD:
            if not waits:
                return None
            wrapper.ensure_connection()
            raw = wrapper.connection
            if raw.pgconn.status == BAD:
                return None  # in a transaction that is lost: a cursor says so
        if attribute(wrapper, own, "_thread_ident") != PyThread_get_thread_ident():
            if not waits:
                return None
            wrapper.validate_thread_sharing()
            if "block" in own:
                return None  # in a thread of the block, which waits for a cursor's
        # Not by `isinstance()`: a proxy pretends.
        if type(raw) not in self.connections:
            return None
        own = <dict> PyObject_GenericGetDict(raw, NULL)
        factory = attribute(raw, own, "cursor_factory")
        if (
            "cursor" in own
            or not (
                factory is self.cursor or (binds and factory is self.binding_cursor)
            )
            or attribute(raw, own, "_pipeline")
            or attribute(raw, own, "row_factory") is not self.tuple_row
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

    cpdef object text(self, raw, sql, params):
        """The text of a statement with its parameters in it, as psycopg merges them.

        It reads the text in Python. Where no percent sign is but the placeholders',
        there is nothing to find.
        """
        if type(sql) is str and type(params) is tuple and (<str> sql).isascii():
            places = (<str> sql).count("%s")
            if places == len(<tuple> params) and places == (<str> sql).count("%"):
                template = (<str> sql).encode("ascii")
                return template % tuple(self.literals.written(raw, params))
        return self.merged(raw, sql, params)

    def send(
        self, wrapper, raw, sql, params, bytes template=None, Bound bound=None,
        list arrays=None,
    ):
        """Execute a statement and return its result. Raises Django's errors.

        A `template` in the place of `sql` saves reading it and counting the parameters.
        With `bound` its values are sent beside it. `arrays` are the parameters that are
        not written into it: bytes, OID, format.
        """
        if wrapper.needs_rollback:
            wrapper.validate_no_broken_transaction()
        try:
            if bound is not None:
                return self.round_trips.run(raw, bound_operation(self, raw, bound))
            if template is None:
                query = self.text(raw, sql, params)
            else:
                query = template % tuple(self.literals.written(raw, params))
            if arrays is None and not raw._autocommit and (
                raw.pgconn.transaction_status != 2  # PQTRANS_INTRANS
                or getattr(raw, "due", None) is not None
            ):
                return self.in_transaction(raw, query)
            if readers != 0 and arrays is None and holds(self.round_trips.watch):
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
