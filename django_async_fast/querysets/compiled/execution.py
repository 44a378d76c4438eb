"""The rows of a queryset that is a path, without building and compiling its query.

In: a queryset on a path, and the values given to `get()`.
Out: its rows, or Django's own method where the statement is not known.
Next: `connections/first_statement.py`.
"""

from __future__ import annotations

from asyncio import _get_running_loop
from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Any

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import QuerySet
from django.db.models import query as django_query
from django.db.models.signals import post_init, pre_init
from django.db.models.sql import compiler as django_compiler
from django.db.utils import ConnectionRouter

from ... import _native, bridge
from ...bridge import running
from ...connections import first_statement
from ...drivers.psycopg.fetched_rows import OF_ONE, OF_QUERYSETS
from ...tasks import units
from ...unpatched import Unpatched, is_like
from .. import changes, iterables, streams, whole_results
from ..plans import row_plan
from . import asks, single_reads, tree, verify
from .entry import Ask, holds, learn, plan_for
from .keys import Missed
from .methods import LOOKING, METHODS, looking
from .paths import KEYS, PATH, STEPS, on, replay, stays
from .steps import Step, has_put_off, path_of, take_first


def _learn(call: Any, kind: Any, ask: Ask, make_plan: Any) -> bool:
    """Learn a queryset's statement of some kind; tell whether it is known now."""
    queryset = call.queryset
    if PATH not in queryset.__dict__ or queryset._result_cache is not None:
        return False
    before = queryset.__dict__["_deferred_filter"]
    path = path_of(queryset)
    if path is None or (path.limits is not None and kind == "exists"):
        return False  # of a slice it is another slice
    # With a filter that had been put off it may have been known.
    return _is_learnt(call, path, kind, ask, make_plan) or before is not None


def _is_learnt(call: Any, path: Any, kind: Any, ask: Ask, make_plan: Any) -> bool:
    """Learn the statement if this is its second time; tell whether."""
    if _get_running_loop() is not None:
        return False  # Django refuses it, or lets it wait
    entries = path.node.entries
    if path.node.epoch is not STEPS.epoch or kind in entries:
        return False
    if not (path.fresh or verify.ON or path.node.has_seen(kind)):
        tree.counters.misses += 1
        return False
    if not changes.hold():
        return False
    queryset = call.queryset
    call.alias = alias = call.alias or queryset.db
    key = kind, alias
    if key in entries:
        return False
    try:
        entries[key] = learn(queryset, path, ask, make_plan, alias)
        tree.counters.learnt += 1
    except Missed:
        return False
    except Exception as refused:
        # On any alias.
        entries[kind] = str(refused) or repr(refused)
        tree.counters.refused += 1
    tree.grown()
    return key in entries


def _by_django(method: Callable[..., Any], call: Any) -> Any:
    """Have Django do it; a router that was asked where the rows are is not again.

    Only a copy knows the answer: others may make querysets of this one meanwhile.
    """
    if (
        call.alias is None
        or call.queryset._db is not None
        or call.queryset._result_cache is not None
    ):
        return method(call.queryset, *call.args, **call.kwargs)
    asked = _native.rows.QuerysetCall(object.__new__(type(call.queryset)))
    asked.queryset.__dict__ = {**call.queryset.__dict__, "_db": call.alias}
    try:
        return method(asked.queryset, *call.args, **call.kwargs)
    finally:
        for name in ("_result_cache", "_prefetch_done"):
            call.queryset.__dict__[name] = asked.queryset.__dict__[name]


def _in_turns(batch: Any) -> list[Any]:
    """Return many rows; where they are built on the loop it has its turn meanwhile."""
    if not bridge.can_wait():
        found: list[Any] = _native.rows.items(batch)
        return found
    found, advance = [], streams.in_parts(batch)
    while (part := advance()) is not None:
        found += _native.rows.items(part)
    return found


def verify_run(ask: Ask, call: Any, alias: str, sql: str, params: Any) -> None:
    """Compare a statement that was filled in with Django's."""
    queryset = call.queryset
    _, text, values = ask(queryset, replay(queryset, call.path), alias)
    verify.same(sql, params, (text, values))


def why_built(queryset: Any) -> str:
    """Return why Django builds and compiles the query of `queryset`, or ''."""
    path = on(queryset)
    if path is None:
        return (
            "its query has been given to somebody, or one of the methods that made it "
            "is Django's to do each time, or was called so for the first time"
        )
    kind, entries = KNOWN.kind_of_rows(queryset.__dict__), path.node.entries
    if kind is None:
        return "its rows are made, or fetch others, by the project's own code"
    if (kind, queryset.db) in entries:
        return ""
    why_not: str = entries.get(kind, "it was not seen twice yet")
    return why_not


KNOWN: Any = _native.COMPILED and _native.rows.KnownStatements(
    STEPS,
    iterates=iterables.WITH_THE_CORE,
    fetch_modes=row_plan.FETCH_MODES,
    signals=(pre_init, post_init),
    compilers=vars(django_compiler),
    running_loop=_get_running_loop,
    connections=connections,
    holds=holds,
    plan_for=plan_for,
    missed=(EmptyResultSet, FullResultSet, row_plan.Declined),
    verify=verify_run if verify.ON else None,
    databases=_native.rows.Databases(
        vars(django_query),
        Unpatched((ConnectionRouter, ConnectionRouter)).watch,
        kind=ConnectionRouter,
        db=QuerySet.db if is_like(QuerySet, QuerySet, ("db",)) else None,
        default=DEFAULT_DB_ALIAS,
    ),
    routes=first_statement.ROUTES,
    announce=single_reads.announced,
    reader=whole_results.READER,
    by_cursor=whole_results.by_cursor,
    fetch=whole_results.fetch,
    in_turns=_in_turns,
    many=streams.PART,
    of_querysets=OF_QUERYSETS,
    of_one=OF_ONE,
    ask_rows=asks.rows,
    forget=tree.clear,
)


# ----- Django's methods


def _learn_rows(call: Any) -> bool:
    """Learn the statement for a queryset's rows; tell whether it is known now."""
    kind = KNOWN.kind_of_rows(call.queryset.__dict__)
    return kind is not None and _learn(call, kind, asks.rows, iterables.PLANS[kind[0]])


# Whether nobody else has replaced what would only look whether there are rows.
_FETCHES_ALONE = is_like(QuerySet, QuerySet, ("_fetch_all",))


@wraps(QuerySet._fetch_all)
def fetch_all(self: Any) -> Any:
    # Tools show what is in the frames around a query: the queryset is in none.
    call = _native.rows.QuerysetCall(self)
    del self
    if call.queryset._result_cache is None:
        rows = KNOWN.rows(call)
        if rows is None and _learn_rows(call):
            rows = KNOWN.rows(call)
        call.queryset._result_cache = rows
    if (
        _FETCHES_ALONE
        and call.queryset._result_cache is not None
        and not call.queryset._prefetch_related_lookups
    ):
        return None
    return _by_django(fetch_all.__wrapped__, call)


def _keep(call: Any, rows: list[Any]) -> None:
    call.queryset._result_cache = rows


def _asked(known: Callable[[Any], Any], call: Any) -> Any:
    """Return what is `known` for a queryset's rows, learnt if it can be; or None."""
    found = known(call)
    return known(call) if found is None and _learn_rows(call) else found


def _known_stream(queryset: Any) -> Any:
    """Return the statement for a stream of a queryset's rows, if it is known.

    Else the alias that a router has answered, if one was asked.
    """
    call = _native.rows.QuerysetCall(queryset)
    del queryset
    if (found := _asked(KNOWN.stream, call)) is None:
        return None, call.alias
    statement, alias, plan, types, *query = found
    wrapper = connections[alias]
    return streams.KnownStream(
        statement.calls_project, wrapper, plan, types, statement.columns, *query
    ), alias


if KNOWN:
    streams.known_statement = _known_stream


def _one_value(name: str, ask: Ask, make_plan: Any, value: Any) -> Any:
    @wraps(getattr(QuerySet, name))
    def method(self: Any) -> Any:
        call = _native.rows.QuerysetCall(self)
        del self
        rows = KNOWN.values(call, name, ask)
        if rows is None and _learn(call, name, ask, make_plan):
            rows = KNOWN.values(call, name, ask)
        if rows is not None:
            return value(rows)
        if call.queryset._result_cache is None:
            call.queryset = stays(call.queryset)
        return _by_django(method.__wrapped__, call)

    return method


@wraps(QuerySet.aggregate)
def aggregate(self: Any, *args: Any, **kwargs: Any) -> Any:
    call = _native.rows.QuerysetCall(self, args, kwargs)
    del self, args, kwargs
    if PATH in call.queryset.__dict__ and call.queryset._result_cache is None:
        key = KEYS.key_of_aggregates("aggregate", call.args, call.kwargs)
        if type(key) is tuple:
            ask = partial(_ask_aggregate, args=call.args, kwargs=call.kwargs)
            rows = KNOWN.values(call, key, ask)
            if rows is None and _learn(call, key, ask, _aggregates):
                rows = KNOWN.values(call, key, ask)
            if rows is not None:
                return rows[0]
        call.queryset = stays(call.queryset)
    return _by_django(aggregate.__wrapped__, call)


def _ask_aggregate(
    queryset: Any, query: Any, alias: str, args: Any, kwargs: Any
) -> tuple[Any, str, Any]:
    return asks.aggregate(queryset, query, alias, aggregate.__wrapped__, args, kwargs)


def _aggregates(queryset: Any, compiler: Any, common: dict[str, Any]) -> Any:
    names = list(compiler.query.annotation_select)
    return _native.rows.DictPlan(names=names, **common)


count = _one_value("count", asks.count, row_plan.flat, lambda rows: rows[0])
exists = _one_value("exists", asks.exists, row_plan.flat, bool)


def _led(name: str, row: Callable[[Any, list[Any]], Any]) -> Any:
    look = looking(name, leads=True)
    if not is_like(QuerySet, QuerySet, (name,)):
        return look  # of a tool, that is to be called

    @wraps(look.__wrapped__)
    def method(self: Any, *args: Any) -> Any:
        call = _native.rows.QuerysetCall(self, args)
        del self, args
        rows = KNOWN.rows_led(call, name)
        return _by_django(look, call) if rows is None else row(call, rows)

    return method


def _row(call: Any, rows: list[Any]) -> Any:
    return rows[0] if rows else None


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


@wraps(QuerySet._earliest)
def by_order(self: Any, *fields: Any) -> Any:
    call = _native.rows.QuerysetCall(self, fields)
    del self, fields
    order = call.args or call.queryset.model._meta.get_latest_by
    if type(order) is str:
        order = (order,)
    if (
        order
        and PATH in call.queryset.__dict__
        and all(type(name) is str and name != "?" for name in order)
    ):
        # As Django orders and slices, for `get()` to look at the row.
        limited = _native.rows.QuerysetCall(call.queryset.order_by(*order)[:1])
        rows = _rows_of(limited)
        if rows is not None:
            if rows:
                return rows[0]
            return get.__wrapped__(_Filtered(call.queryset.model, rows))
        call.alias = limited.alias
    return _by_django(by_order.__wrapped__, call)


@wraps(QuerySet.get)
def get(self: Any, /, *args: Any, **kwargs: Any) -> Any:
    call = _native.rows.QuerysetCall(self, args, kwargs)
    del self, args, kwargs
    rows = KNOWN.rows_of_get(call, METHODS["filter"].__wrapped__, _ordered_and_sliced)
    if rows is None:
        rows = _rows_of_get(call)
    if rows is None:
        call.queryset = stays(call.queryset)
        if call.alias is not None and call.queryset.query.select_for_update:
            # Once more, as get() asks whether the lock has a limit.
            _ = call.queryset.db
        return _by_django(get.__wrapped__, call)
    return rows[0] if len(rows) == 1 else _only(call, rows)


def _only(call: Any, rows: list[Any]) -> Any:
    if len(rows) == 1:
        return rows[0]
    # Django's words for none and for many.
    found = _Filtered(call.queryset.model, rows)
    return get.__wrapped__(found, *call.args, **call.kwargs)


first, last = _led("first", _row), _led("last", _row)
earliest, latest = _led("earliest", _only), _led("latest", _only)


def _rows_of_get(call: Any) -> Any:
    """Return the rows that `get()` looks at, not for the third time; or None."""
    limited = _native.rows.QuerysetCall(_limited(call))
    if limited.queryset is None:
        return None
    limited.of_get, limited.alias = True, call.alias
    rows = _rows_of(limited)
    call.alias = limited.alias
    return rows


def _rows_of(call: Any) -> Any:
    """Return the rows of a queryset with what it prefetches, None for Django's way."""
    rows = _asked(KNOWN.rows, call)
    if rows is None or not call.queryset._prefetch_related_lookups:
        return rows
    call.queryset._result_cache = rows
    call.queryset._fetch_all()
    return call.queryset._result_cache


def _limited(call: Any) -> Any:
    """Return the queryset whose rows `get()` looks at, None where Django makes it."""
    function = METHODS["filter"].__wrapped__
    given = function, _ordered_and_sliced, call.args, call.kwargs
    queryset, found = call.queryset, call.limited
    if found is None and has_put_off(queryset) and path_of(queryset) is not None:
        found = STEPS.limited(queryset, *given)
    if type(found) is not tuple:
        return found
    step = Step(function, call.args, call.kwargs, *found)
    found = take_first(queryset, on(queryset), step)
    if PATH not in found.__dict__:
        return None
    STEPS.limit(found, _ordered_and_sliced)
    return found


def _ordered_and_sliced(queryset: Any) -> Any:
    """Do what `get()` does with what it has filtered."""
    limited = QuerySet.order_by.__wrapped__(queryset)
    limited.query.set_limits(high=21)
    return limited


single_reads.READS |= {aggregate: False, get: False, first: True, last: True}
single_reads.READS |= {count: True, exists: True, fetch_all: True}
single_reads.READS |= {earliest: True, latest: True}
if KNOWN:
    units.as_read = single_reads.as_read
    # What the rows become, the statement's kind, and what to call with them.
    _STRAIGHT: dict[Any, tuple[int, str | None, Callable[[Any, Any], Any]]] = {
        get: (1, None, _only),
        count: (3, "count", lambda _, rows: rows[0]),
        exists: (3, "exists", lambda _, rows: bool(rows)),
        first: (4, "first", _row),
        last: (4, "last", _row),
        aggregate: (5, "aggregate", _row),
        earliest: (6, "earliest", _only),
        latest: (6, "latest", _only),
        LOOKING["in_bulk"]: (7, None, lambda _, rows: {row.pk: row for row in rows}),
    }
    if _FETCHES_ALONE:
        _STRAIGHT[fetch_all] = (2, None, _keep)
    running.begin_read = _native.rows.StraightReads(
        KNOWN,
        methods=_STRAIGHT,
        filter_by=METHODS["filter"].__wrapped__,
        limit=_ordered_and_sliced,
    ).begin


def seams() -> Iterator[tuple[Any, str, Any, str]]:
    """Yield (owner, name, replacement, reason) for `seams/seam_list.py`."""
    again = "a statement like one before is not built and compiled again"
    yield QuerySet, "_fetch_all", fetch_all, again
    yield QuerySet, "count", count, again
    yield QuerySet, "exists", exists, again
    yield QuerySet, "get", get, again
    yield QuerySet, "first", first, again
    yield QuerySet, "last", last, again
    yield QuerySet, "aggregate", aggregate, again
    yield QuerySet, "earliest", earliest, again
    yield QuerySet, "latest", latest, again
    yield QuerySet, "_earliest", by_order, again
