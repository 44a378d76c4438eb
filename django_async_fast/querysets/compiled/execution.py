"""The rows of a queryset that is a path, without building and compiling its query.

In: a queryset on a path, and the values given to `get()`.
Out: its rows, or Django's own method where the statement is not known.
Next: `connections/first_statement.py`.
"""

from __future__ import annotations

from asyncio import _get_running_loop
from collections.abc import Iterator
from functools import wraps
from typing import Any

from django.db import connections
from django.db.models import QuerySet

from ... import _native, bridge
from ...connections import first_statement
from ...connections.routing import bridged_block
from ...drivers.psycopg.fetched_rows import OF_ONE, OF_QUERYSETS
from .. import iterables, streams, whole_results
from ..plans import row_plan
from . import tree, verify
from .entry import Ask, fill, give_back, holds, learn, plan_for
from .keys import Missed
from .paths import PATH, STEPS, djangos, on, replay
from .steps import Call, path_of, take_first


class Statement:
    """A statement that is ready to be sent. Has the queryset where no tool shows it."""

    __slots__ = ("_alias", "_ask", "_entry", "_path", "_queryset")

    def __init__(
        self, queryset: Any, path: Any, entry: Any, ask: Ask, alias: str
    ) -> None:
        self._queryset = queryset
        self._path = path
        self._entry = entry
        self._ask = ask
        self._alias = alias

    def rows(self) -> list[Any] | None:
        """Return the rows, None where Django is to fetch them."""
        ready = self._ready()
        if ready is None:
            return None
        statement, lent = ready
        batch = whole_results.fetch(*statement)
        found = _items(batch)
        if lent is not None:
            give_back(self._entry, lent)
        return found

    def fetch(self) -> bool:
        """Give the rows to the queryset; tell whether that is done."""
        rows = self.rows()
        if rows is None:
            return False
        self._queryset._result_cache = rows
        return True

    def _ready(self) -> Any:
        entry = self._entry
        if not holds(entry):
            return None
        try:
            sql, params, template = fill(entry, self._path, self._alias)
            plan, types, lent = plan_for(entry, self._queryset, self._alias)
        except (Missed, row_plan.Declined):
            return None
        if plan is not entry.made[0] and lent is None:
            template = None  # a plan of this run alone
        tree.counters.hits += 1
        if verify.ON:
            query = replay(self._queryset, self._path)
            _, *compiled = self._ask(self._queryset, query, self._alias)
            verify.same(sql, params, (compiled[0], compiled[1]))
        # Last: nothing may be waited for between this and the statement.
        wrapper = first_statement.wrapper(bridged_block(), self._alias)
        how = OF_QUERYSETS if self._ask is _ask_rows else OF_ONE
        return (wrapper, plan, types, entry.columns, sql, params, template, how), lent


def statement(
    queryset: Any, path: Any, kind: Any, ask: Ask, make_plan: Any
) -> Statement | None:
    """Return the statement of a queryset, None where Django is to make it."""
    if _get_running_loop() is not None:
        return None  # Django refuses it, or lets it wait
    alias = queryset.db
    key = kind, alias
    entries = path.node.entries
    entry = entries.get(key)
    if entry is None:
        if not (path.fresh or verify.ON or path.node.has_seen(key)):
            tree.counters.misses += 1
            return None
        try:
            entry = learn(queryset, path, ask, make_plan, alias)
            tree.counters.learnt += 1
        except Missed:
            return None
        except Exception as refused:
            entry = str(refused)
            tree.counters.refused += 1
        entries[key] = entry
        tree.grown()
    if type(entry) is str:
        return None
    return Statement(queryset, path, entry, ask, alias)


def _items(batch: Any) -> list[Any]:
    """Return the rows; where many are built on the loop it has its turn meanwhile."""
    if len(batch) <= streams.PART or not bridge.can_wait():
        found: list[Any] = _native.rows.items(batch)
        return found
    found, advance = [], streams.in_parts(batch)
    while (part := advance()) is not None:
        found += _native.rows.items(part)
    return found


def why_built(queryset: Any) -> str:
    """Return why Django builds and compiles the query of `queryset`, or ''."""
    path = on(queryset)
    if path is None:
        return (
            "its query has been given to somebody, or one of the methods that made it "
            "is Django's to do each time, or was called so for the first time"
        )
    key = _kind_of_rows(queryset), queryset.db
    entry = path.node.entries.get(key)
    if entry is None:
        return "it was not seen twice yet"
    return entry if type(entry) is str else ""


# ----- what is asked of a query


def _ask_rows(queryset: Any, query: Any, alias: str) -> tuple[Any, str, Any]:
    compiler = query.get_compiler(alias)
    sql, params = compiler.as_sql()
    return compiler, sql, params


def _ask_exists(queryset: Any, query: Any, alias: str) -> tuple[Any, str, Any]:
    return _ask_rows(queryset, query.exists(), alias)


class _Recorded(Exception):
    """Instead of executing: the compiler that would have."""


def _ask_count(queryset: Any, query: Any, alias: str) -> tuple[Any, str, Any]:
    ops = connections[alias].ops
    make = ops.compiler

    def compiler(name: str) -> Any:
        def recording(*args: Any, **kwargs: Any) -> Any:
            made = make(name)(*args, **kwargs)

            def execute_sql(*args: Any, **kwargs: Any) -> Any:
                raise _Recorded(made)

            made.execute_sql = execute_sql
            return made

        return recording

    ops.compiler = compiler
    try:
        query.get_count(alias)
    except _Recorded as recorded:
        made = recorded.args[0]
    finally:
        del ops.compiler
    del made.execute_sql
    sql, params = made.as_sql()
    return made, sql, params


# ----- Django's methods


def _statement_of_rows(queryset: Any) -> Statement | None:
    if PATH not in queryset.__dict__ or queryset._result_cache is not None:
        return None
    path = path_of(queryset)
    if path is None:
        return None
    iterable = queryset._iterable_class
    make_plan = iterables.PLANS.get(iterable)
    if make_plan is None or iterable.__iter__ is not iterables.WITH_THE_CORE[iterable]:
        return None
    return statement(queryset, path, _kind_of_rows(queryset), _ask_rows, make_plan)


def _kind_of_rows(queryset: Any) -> Any:
    return queryset._iterable_class, getattr(queryset, "_fetch_mode", None)


@wraps(QuerySet._fetch_all)
def fetch_all(self: Any) -> Any:
    # Tools show what is in the frames around a query: the queryset is in none.
    call = [self]
    found = _statement_of_rows(self)
    del self
    if found is not None:
        hidden = _Hidden(call.pop())
        found.fetch()
        call.append(hidden.queryset)
    return fetch_all.__wrapped__(call.pop())


class _Hidden:
    """Keeps a queryset where its repr, which is another query, is not asked for."""

    __slots__ = ("queryset",)

    def __init__(self, queryset: Any) -> None:
        self.queryset = queryset


def _one_value(name: str, ask: Ask, make_plan: Any, value: Any) -> Any:
    @wraps(getattr(QuerySet, name))
    def method(self: Any) -> Any:
        call = [self]
        path = path_of(self) if PATH in self.__dict__ else None
        if path is not None and self._result_cache is None:
            found = None
            if path.limits is None:
                found = statement(self, path, name, ask, make_plan)
            if found is None:
                # The queryset itself stays on its path.
                call = [djangos(self, path)]
            else:
                hidden = _Hidden(call.pop())
                del self
                rows = found.rows()
                if rows is not None:
                    return value(rows)
                call.append(hidden.queryset)
                self = None
        del self, path
        return method.__wrapped__(call.pop())

    return method


count = _one_value("count", _ask_count, row_plan.flat, lambda rows: rows[0])
exists = _one_value("exists", _ask_exists, row_plan.flat, bool)


class _Filtered:
    """The rows found, as `QuerySet.get()` expects what it has filtered."""

    combinator = distinct_fields = select_for_update = None

    def __init__(self, model: Any, rows: list[Any]) -> None:
        self.model = model
        self._result_cache = rows

    @property
    def query(self) -> _Filtered:
        return self

    def filter(self, *args: Any, **kwargs: Any) -> _Filtered:
        return self

    def order_by(self) -> _Filtered:
        return self

    def can_filter(self) -> bool:
        return True

    def set_limits(self, high: int) -> None:
        pass

    def __len__(self) -> int:
        return len(self._result_cache)


@wraps(QuerySet.get)
def get(self: Any, /, *args: Any, **kwargs: Any) -> Any:
    call = [kwargs, args, self]
    limited = _limited(self, args, kwargs) if PATH in self.__dict__ else None
    found = None if limited is None else _statement_of_rows(limited)
    if found is not None:
        hidden = _Hidden(limited)
        given = _Hidden(call)
        del self, args, kwargs, limited, call
        if found.fetch():
            return _one(hidden, given)
        call = given.queryset
    else:
        del self, args, kwargs, limited
    call.append(_stays(call.pop()))
    return get.__wrapped__(call.pop(), *call.pop(), **call.pop())


def _stays(queryset: Any) -> Any:
    """Return what Django may ask for its query, while `queryset` stays on its path."""
    path, values = on(queryset), queryset.__dict__
    if (
        path is None
        or values["_deferred_filter"] is not None
        or not values.get("_cloning_enabled", True)
    ):
        return queryset
    return djangos(queryset, path)


def _one(hidden: _Hidden, given: _Hidden) -> Any:
    if hidden.queryset._prefetch_related_lookups:
        hidden.queryset._fetch_all()
    rows = hidden.queryset._result_cache
    if len(rows) == 1:
        return rows[0]
    # Django's words for none and for many.
    queryset, args, kwargs = reversed(given.queryset)
    return get.__wrapped__(_Filtered(queryset.model, rows), *args, **kwargs)


def _limited(queryset: Any, args: Any, kwargs: Any) -> Any:
    """Return the queryset whose rows `get()` looks at, None where Django makes it."""
    path = path_of(queryset)
    if path is None:
        return None
    function = QuerySet.filter.__wrapped__
    found = STEPS.limited(queryset, function, _ordered_and_sliced, args, kwargs)
    if type(found) is tuple:
        found = take_first(queryset, path, Call(function, args, kwargs, *found))
        if found is None or PATH not in found.__dict__:
            return None
        STEPS.limit(found, _ordered_and_sliced)
    return found


def _ordered_and_sliced(queryset: Any) -> Any:
    """Do what `get()` does with what it has filtered."""
    limited = QuerySet.order_by.__wrapped__(queryset)
    limited.query.set_limits(high=21)
    return limited


def seams() -> Iterator[tuple[Any, str, Any, str]]:
    """Yield (owner, name, replacement, reason) for `seams/seam_list.py`."""
    again = "a statement like one before is not built and compiled again"
    yield QuerySet, "_fetch_all", fetch_all, again
    yield QuerySet, "count", count, again
    yield QuerySet, "exists", exists, again
    yield QuerySet, "get", get, again
