# Statements of querysets that are known, run without Python code of ours in between.
#
# In: a queryset on a path. Out: its rows; None where Python code is to see to it.
# Next: `connections/first_statement.py`, `sending.pxi`.

@cython.final
cdef class QuerysetCall:
    """Keeps what a method was called with where no tool that shows frames asks for it.

    The repr of a queryset is another query.
    """

    def __init__(self, queryset, tuple args=(), dict kwargs=None):
        self.queryset = queryset
        self.args = args
        self.kwargs = kwargs or {}


# So many plans of a statement wait to be lent again.
cdef enum:
    LENT = 8


cdef tuple lent_plan(Statement statement, dict objects):
    """A plan that is told of related objects, with their places; None if none waits."""
    cdef list found = []
    if not objects or not statement.lent:
        return None
    cdef tuple lent = statement.lent.pop()
    if len(<dict> lent[1]) != len(objects):
        return None
    for (field, place), (of, known) in zip((<dict> lent[1]).items(), objects.items()):
        if field is not of:
            return None
        found.append((place, known))
    for place, known in found:
        (<dict> place).update(known)
    return lent


cdef int give_back(StatementRun run) except -1:
    """Keep the plan that was lent, if one was, once no more rows are built."""
    if run.lent is not None:
        for place in (<dict> (<tuple> run.lent)[1]).values():
            (<dict> place).clear()
        if run.statement.lent is None:
            run.statement.lent = []
        if len(run.statement.lent) < LENT:
            run.statement.lent.append(run.lent)
    return 0


cdef bint has_statement(Node node, kind) except -1:
    """Whether a statement of some kind is known, on any database."""
    for key, entry in node.entries.items():
        if type(entry) is Statement and key[0] == kind:
            return True
    return False


cdef list receivers_of(tuple signals):
    """What tells for each signal whether it has other receivers than now.

    Django appends to a list, and takes out of it: where that ends with the same one, and
    is as long, it is the same.
    """
    cdef list found = [], receivers
    for signal in signals:
        receivers = signal.receivers
        found.append((signal, receivers, len(receivers), last_of(receivers)))
    return found


cdef inline object last_of(list items):
    return items[len(items) - 1] if items else None


@cython.final
cdef class StatementRun:
    """One run of a statement."""

    cdef str sql(self):
        return self.template.decode()

    def written_out(self):
        """Return Django's SQL and parameters, where others were to be sent."""
        return self.statement.fill(self.path, self.connections, self.alias)[:2]


@cython.final
cdef class KnownStatements:
    """Runs statements that are known.

    `iterates` has for each kind of iterable its `__iter__`, `fetch_modes` Django's
    classes of these; `holds` tells whether Django would build rows as it did, in cases
    that are not seen at once; `plan_for` makes a plan for one run; `announce` is told of
    a statement while calls wait that read; `missed` are the errors that tell that the
    statement is another for these values; `verify` compares it; `databases` are asked
    first, `routes` last; `reader` sends it, and where it does not, `by_cursor` or, of
    another thread, `fetch`; `in_turns` builds rows that are many; `forget` forgets what
    was learnt.
    """

    def __init__(
        self, Steps steps not None, *, dict iterates, fetch_modes, tuple signals,
        dict compilers, running_loop, connections, holds, plan_for, tuple missed, verify,
        Databases databases not None, Routes routes not None, announce, Reader reader,
        by_cursor, fetch, in_turns, Py_ssize_t many, of_querysets, of_one, ask_rows,
        forget,
    ):
        self.steps = steps
        self.iterates = iterates
        self.fetch_modes = fetch_modes
        self.signals = signals
        self.heard = receivers_of(signals)
        self.compilers = compilers
        self.running_loop = running_loop
        self.connections = connections
        self.holds = holds
        self.plan_for = plan_for
        self.missed = missed
        self.verify = verify
        self.databases = databases
        self.routes = routes
        self.announce = announce
        self.reader = reader
        self.by_cursor = by_cursor
        self.fetch = fetch
        self.in_turns = in_turns
        self.many = many
        self.of_querysets = of_querysets
        self.of_one = of_one
        self.ask_rows = ask_rows
        self.forget = forget

    cdef bint hears_the_same(self) except -1:
        """Whether models' signals have the receivers for which all was learnt."""
        cdef tuple known
        cdef list receivers
        for known in self.heard:
            receivers = known[0].receivers
            if (
                receivers is not known[1]
                or len(receivers) != <Py_ssize_t> known[2]
                or last_of(receivers) is not known[3]
            ):
                return False
        return True

    cdef bint is_as_learnt(self, Statement statement, bint asks) except -1:
        if not self.hears_the_same():
            if asks:
                self.heard = receivers_of(self.signals)
                self.forget()
            return False
        for watch in statement.kinds:
            if not holds(<ClassWatch> watch):
                return False
        if not statement.is_ordered_so():
            if asks:
                self.forget()
            return False
        if statement.watches is None:
            return asks and self.holds(statement)
        for watch in statement.watches:
            if not holds(<ClassWatch> watch):
                return asks and self.holds(statement)
        # A tool may have replaced what reads the cursors.
        if self.compilers["cursor_iter"] is not statement.cursor_iter:
            return asks and self.holds(statement)
        return True

    cpdef object kind_of_rows(self, dict values):
        """The kind of the statement for a queryset's rows, None for somebody's own."""
        iterable, fetch_mode = values["_iterable_class"], values.get("_fetch_mode")
        iterates = self.iterates.get(iterable)
        if iterates is None or iterable.__iter__ is not iterates:
            return None
        # One of the project's may be equal to another, or have no hash.
        if type(fetch_mode) not in self.fetch_modes:
            return None
        return iterable, fetch_mode

    cdef StatementRun known(
        self, QuerysetCall call, dict values, Path path, kind, ask, bint asks=True
    ):
        """The statement filled in; None if it is not known.

        If nobody `asks` it is None too where that would call the project's code or
        Django's, which may wait.
        """
        if path is None or values["_result_cache"] is not None:
            return None
        if not path.node.entries or path.node.epoch is not self.steps.epoch:
            return None
        if asks and self.running_loop() is not None:
            return None  # Django refuses it, or lets it wait
        alias = call.alias or self.databases.of(call.queryset, values)
        if alias is None:
            # Routers are asked as often as by Django: only where that is of use.
            if not asks or not has_statement(path.node, kind):
                return None
            alias = call.alias = call.queryset.db
        entry = path.node.entries.get((kind, alias))
        if type(entry) is not Statement:
            return None
        cdef Statement statement = <Statement> entry
        if not self.is_as_learnt(statement, asks):
            return None
        if statement.locks and (
            not asks or self.connections[alias].get_autocommit()
        ):
            return None
        if not asks and statement.calls_project:
            return None
        call.path = path
        cdef StatementRun known = StatementRun.__new__(StatementRun)
        plan, known.types = statement.made
        known.keeps = plan is not None
        known.arrays = []
        try:
            filled = statement.filled(
                path, self.connections if asks else None, alias, known.arrays
            )
            if filled is None:
                return None
            if plan is None or (
                statement.instances and values["_known_related_objects"]
            ):
                known.lent = lent_plan(statement, values["_known_related_objects"])
                if known.lent is not None:
                    plan = known.lent[0]
                elif not asks:
                    return None
                else:
                    plan, known.types, known.lent = self.plan_for(
                        statement, call, alias
                    )
                    known.keeps = known.keeps and known.lent is not None
        except self.missed:
            return None
        known.statement, known.plan, known.alias = statement, plan, alias
        known.template, known.params = filled
        known.path, known.connections = path, self.connections
        if not asks:
            return known
        if path.led is not None:
            self.steps.lead(path)
        self.steps.hits += 1
        statement.used = self.steps.clock
        if self.verify is not None:
            self.verify(ask, call, alias, *known.written_out())
        return known

    cdef list run(self, StatementRun known, QuerysetCall call, how):
        if readers != 0:
            self.announce(known.statement)
        # Last: nothing may be waited for between this and the statement.
        wrapper = self.routes.wrapper(known.alias)
        return self.built(known, self.batch(known, wrapper, how))

    cdef list built(self, StatementRun known, Batch batch):
        rows = items(batch) if batch.rows <= self.many else self.in_turns(batch)
        give_back(known)
        return rows

    cdef Batch batch(self, StatementRun known, wrapper, how):
        cdef Statement statement = known.statement
        cdef bytes template = known.template if known.keeps else None
        cdef list arrays = known.arrays or None
        if self.reader is None or wrapper._thread_ident != PyThread_get_thread_ident():
            return self.fetch(
                wrapper, known.plan, known.types, statement.columns, known.sql(),
                known.params, template, how, statement.binds, arrays, known,
            )
        batch = self.reader.read(
            wrapper, known.plan, known.types, statement.columns,
            known.sql() if template is None else None,  # which nobody needs beside it
            known.params, template, statement.binds, arrays,
        )
        if batch is not None:
            return batch
        return self.by_cursor(
            wrapper, known.sql(), known.params, None if arrays is None else known,
            known.plan, known.types, statement.columns, how,
        )

    def values(self, QuerysetCall call not None, kind, ask):
        """Return the rows of a statement for one value."""
        cdef dict values = <dict> PyObject_GenericGetDict(call.queryset, NULL)
        known = self.known(call, values, self.steps.path_of(values), kind, ask)
        return None if known is None else self.run(known, call, self.of_one)

    def rows(self, QuerysetCall call not None):
        """Return a queryset's rows."""
        cdef dict values = <dict> PyObject_GenericGetDict(call.queryset, NULL)
        return self.rows_on(call, values, self.steps.path_of(values))

    cdef list rows_on(self, QuerysetCall call, dict values, Path path):
        if path is None:
            return None
        kind = self.kind_of_rows(values)
        if kind is None:
            return None
        known = self.known(call, values, path, kind, self.ask_rows)
        if known is None:
            return None
        if call.of_get and known.statement.locks:
            call.queryset.db  # once more, as get() asks whether the lock has a limit
        return self.run(known, call, self.of_querysets)

    def stream(self, QuerysetCall call not None):
        """Return what a stream of a queryset's rows is made of; None as `rows()` does.

        The statement, the alias, the plan, the types, SQL and parameters.
        """
        cdef dict values = <dict> PyObject_GenericGetDict(call.queryset, NULL)
        kind = self.kind_of_rows(values)
        if kind is None:
            return None
        path = self.steps.path_of(values)
        known = self.known(call, values, path, kind, self.ask_rows)
        if known is None or known.arrays:
            return None  # a cursor is declared without values beside its text
        return (
            known.statement, known.alias, known.plan, known.types, known.sql(),
            known.params,
        )

    def rows_led(self, QuerysetCall call not None, str name not None):
        """Return the rows that a method of Django's looks at, None if it is to look."""
        cdef dict values = <dict> PyObject_GenericGetDict(call.queryset, NULL)
        path = self.steps.led(values, self.steps.path_of(values), name, call.args)
        if path is None or values["_prefetch_related_lookups"]:
            return None
        return self.rows_on(call, values, path)

    def rows_of_get(self, QuerysetCall call not None, filter_by, limit):
        """Return the rows that `get()` looks at.

        If it is None `call.limited` is the queryset that has them, or a step to be
        learnt.
        """
        cdef dict values = <dict> PyObject_GenericGetDict(call.queryset, NULL)
        cdef list rows = None
        found = self.steps.of_get(
            values, self.steps.path_of(values), filter_by, limit, call.args, call.kwargs,
            LEARNS,
        )
        call.of_get = True
        if type(found) is Path and not values["_prefetch_related_lookups"]:
            rows = self.rows_on(call, values, <Path> found)
        if rows is None:
            call.limited = self.steps.moved(call.queryset, values, found)
        return rows
