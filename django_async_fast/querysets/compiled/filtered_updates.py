"""`QuerySet.update()`, where only plain conditions come before it.

In: the queryset's own query, as Django's `filter()` has made it, and the new values.
Out: how many rows have changed. A value may be plain, `F("x")`, or `F("x") + 1`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import connections, transaction
from django.db.models import F, QuerySet, Value, sql
from django.db.models.expressions import Col, CombinedExpression
from django.db.models.lookups import BuiltinLookup, Exact, In
from django.db.models.sql.where import AND, WhereNode

from ...unpatched import Unpatched
from . import verify, writes

# What `filter()` changes in a query of its model.
_FILTERED = (
    *("alias_map", "alias_refcount", "base_table", "table_map", "used_aliases"),
    *("where", "_lookup_joins"),
)
# Besides those of Write: what is not called here of expressions and lookups.
_COMPILING = (
    *("as_sql", "as_postgresql", "resolve_expression", "process_lhs", "get_rhs_op"),
    *("get_prep_lhs", "output_field", "_resolve_output_field"),
)
_EXPRESSIONS = Col, CombinedExpression, F, WhereNode

# How a new value becomes a parameter.
Prepare = Callable[[Any, Any], Any]


class FilteredUpdate(writes.Write):
    """A compiled UPDATE, and how each of its new values is prepared."""

    __slots__ = ("prepare",)

    def __init__(
        self, compiler: Any, text: str, kept: Any, prepare: list[Prepare | None]
    ) -> None:
        kinds = {*_EXPRESSIONS, *map(type, compiler.query.where.children)}
        not_called = [(kind, kind, _COMPILING) for kind in kinds]
        super().__init__(compiler, text, kept, *not_called)
        self.prepare = prepare

    def params(self, values: Any, where: list[Any], wrapper: Any) -> list[Any]:
        """Return the statement's parameters. Raises NotPlain."""
        found = [
            prepare(value, wrapper)
            for prepare, value in zip(self.prepare, values, strict=True)
            if prepare is not None
        ]
        return found + where


@cache
def _unpatched(kind: Any) -> Unpatched:
    """Tell whether querysets of a class update as Django's."""
    names = "update", "query", "db", "_not_support_combined_queries"
    return Unpatched((kind, QuerySet, names))


@wraps(QuerySet.update)
def update(self: Any, /, **values: Any) -> Any:
    # Tools show what is in the frames around a query: see execution.get().
    run = _run(self, values)
    if run is None:
        call = [values, self]
        del self, values
        return update.__wrapped__(call.pop(), **call.pop())
    del self, values
    return run()


def _run(queryset: Any, values: dict[str, Any]) -> writes.Run | None:
    """Return what updates the rows; None where that is left to Django."""
    kind: Any = type(queryset)
    if not values or not _unpatched(kind).holds():
        return None
    kinds = tuple(map(_kind, values.values()))
    query = queryset.query
    if None in kinds or not _is_filtered(query):
        return None
    queryset._for_write = True
    db = queryset.db
    wrapper = connections[db]
    try:
        where, conditions = _where(query.where, wrapper)
    except writes.NotPlain:
        return None
    model = query.model
    key = "filtered", db, model._meta.db_table, tuple(values), kinds, where
    known = writes.of(model)
    try:
        entry = known[key]
    except KeyError:
        first = _First(queryset, values, db, conditions, known, key)
        if not verify.ON:
            return first
        first.learn()
        entry = known.get(key)
    if entry is None or not entry.holds(wrapper):
        return None
    try:
        params = entry.params(values.values(), conditions, wrapper)
    except writes.NotPlain:
        return None
    if verify.ON:
        verify.same(entry.sql, params, _compiler(queryset, values, db).as_sql())
    return _Again(queryset, entry, db, params)


def _kind(value: Any) -> Any:
    """Return what of a new value decides the text; None where Django has to say."""
    kind = type(value)
    if writes.is_plain(value):
        return kind
    if kind is F:
        return "F", value.name
    if (
        kind is CombinedExpression
        and type(value.lhs) is F
        and type(value.rhs) is Value
        and vars(value).keys() <= _COMBINED
        and vars(value.rhs).keys() <= _VALUE
        and writes.is_plain(value.rhs.value)
    ):
        return value.connector, value.lhs.name, type(value.rhs.value)
    return None


_COMBINED = frozenset({"_constructor_args", "connector", "lhs", "rhs"})
_VALUE = frozenset({"_constructor_args", "value"})


def _is_filtered(query: Any) -> bool:
    """Tell whether a query has been told nothing but conditions on its own table."""
    if type(query) is not sql.Query:
        return False
    meta = query.model._meta
    if query.alias_map.keys() - {meta.db_table}:
        return False
    fresh = vars(meta).get("_daf_fresh_query")
    if fresh is None:
        chained = sql.Query(query.model).chain()
        fresh = vars(meta)["_daf_fresh_query"] = _without_filter(vars(chained))
    return bool(_without_filter({**fresh, **vars(query)}) == fresh)


def _without_filter(values: dict[str, Any]) -> dict[str, Any]:
    found = values.copy()
    for name in _FILTERED:
        found.pop(name, None)
    return found


def _where(where: Any, wrapper: Any) -> tuple[Any, list[Any]]:
    """Return what of the conditions decides the text, and their parameters."""
    if type(where) is not WhereNode or where.negated or where.connector != AND:
        raise writes.NotPlain
    key, found = [], []
    for lookup in where.children:
        kind: Any = type(lookup)
        if not _is_simple(kind) or type(lookup.lhs) is not Col:
            raise writes.NotPlain
        rhs = lookup.rhs
        if rhs is None or type(rhs) is bool or hasattr(rhs, "as_sql"):
            raise writes.NotPlain
        try:
            # Without a compiler, which only expressions ask for.
            text, params = lookup.process_rhs(None, wrapper)
        except (EmptyResultSet, FullResultSet, AttributeError):
            raise writes.NotPlain from None
        key.append((kind, id(lookup.lhs.target), text))
        found += params
    return tuple(key), found


@cache
def _is_simple(kind: Any) -> bool:
    """Tell whether lookups of a class compile to a left side, an operator, a value."""
    return (
        issubclass(kind, BuiltinLookup)
        and kind.__module__.startswith("django.db.models.")
        and not hasattr(kind, "as_postgresql")
        and kind.as_sql in (BuiltinLookup.as_sql, Exact.as_sql, In.as_sql)
        and kind.lookup_name != "isnull"
    )


class _Again:
    """An UPDATE like one before."""

    __slots__ = ("_db", "_entry", "_params", "_queryset")

    def __init__(
        self, queryset: Any, entry: FilteredUpdate, db: str, params: list[Any]
    ) -> None:
        self._queryset = queryset
        self._entry = entry
        self._db = db
        self._params = params

    def __call__(self) -> int:
        with transaction.mark_for_rollback_on_error(using=self._db):
            changed = self._entry.execute(self._db, self._params)
        self._queryset._result_cache = None
        return changed


class _First:
    """Django's UPDATE, whose text is taken down."""

    def __init__(
        self,
        queryset: Any,
        values: dict[str, Any],
        db: str,
        conditions: list[Any],
        known: dict[Any, Any],
        key: Any,
    ) -> None:
        self._queryset = queryset
        self._values = values
        self._db = db
        self._conditions = conditions
        self._known = known
        self._key = key

    def __call__(self) -> Any:
        changed = update.__wrapped__(self._queryset, **self._values)
        self.learn()
        return changed

    def learn(self) -> None:
        writes.learn(self._known, self._key, self._compiled)

    def _compiled(self) -> FilteredUpdate | None:
        compiler = _compiler(self._queryset, self._values, self._db)
        query = compiler.query
        fields = [field for field, _, _ in query.values]
        if (
            not writes.can_compile(compiler, fields)
            or query.related_updates
            or len(fields) != len(self._values)
        ):
            return None
        text, params = compiler.as_sql()
        prepare = [_prepare(field, value) for field, _, value in query.values]
        targets = [each.lhs.target for each in query.where.children]
        entry = FilteredUpdate(compiler, text, (fields, targets), prepare)
        wrapper = compiler.connection
        found = entry.params(self._values.values(), self._conditions, wrapper)
        if text.count("%s") != len(params):
            return None
        verify.same(text, found, (text, params))
        return entry


def _prepare(field: Any, value: Any) -> Prepare | None:
    """Return how a value like this one, which is resolved, becomes a parameter."""
    if type(value) is Col:
        return None
    if type(value) is CombinedExpression:
        # As it is once compiled: Django has found out of which type it is.
        resolved = value.rhs

        def operand(given: Any, wrapper: Any) -> Any:
            again = copy.copy(resolved)
            again.value = given.rhs.value
            text, params = again.as_sql(None, wrapper)
            if text != "%s" or len(params) != 1:
                raise writes.NotPlain
            return params[0]

        return operand

    def plain(given: Any, wrapper: Any) -> Any:
        return writes.prepared(field, given, wrapper)

    return plain


def _compiler(queryset: Any, values: dict[str, Any], db: str) -> Any:
    query = queryset.query.chain(sql.UpdateQuery)
    query.add_update_values(values)
    query.clear_select_clause()
    return query.get_compiler(db)
