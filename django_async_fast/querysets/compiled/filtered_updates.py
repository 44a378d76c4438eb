"""`QuerySet.update()` of a queryset that is a path.

In: the queryset's conditions, as `paths` has them, and the new values. Out: how many
rows have changed. A value may be plain, `F("x")`, or arithmetic of these, as in
`F("x") * F("y") + 1`.

Key: with the path's node, the names and what of the values decides the text, then the
alias. Bound and end: as the node's other statements (`tree`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import wraps
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet, Value, sql
from django.db.models.expressions import Col, CombinedExpression, DurationExpression

from ... import _native
from ...unpatched import is_djangos_own
from . import writes
from .filtered_writes import FilteredCall, FilteredWrite, Prepare
from .keys import Missed
from .paths import STEPS, djangos, replay
from .steps import path_of
from .writes import NULL_IN_TEXT

# Besides those of Write: what is not called here of expressions.
_COMPILING = (
    *("as_sql", "as_postgresql", "resolve_expression", "output_field"),
    "_resolve_output_field",
)
_EXPRESSIONS = Col, CombinedExpression, DurationExpression, F, Value
# What these have when nobody has told them more.
_COMBINED = frozenset({"_constructor_args", "connector", "lhs", "rhs"})
_VALUE = frozenset({"_constructor_args", "value"})
# What of a field's may make another value of None, the first also of an expression.
_OF_NULL = "get_db_prep_save", "get_db_prep_value", "get_prep_value"


class FilteredUpdate(FilteredWrite):
    """A compiled UPDATE of a queryset's rows."""

    __slots__ = ()

    not_called = tuple([(kind, kind, _COMPILING) for kind in _EXPRESSIONS])

    def send(self, wrapper: Any, filled: writes.Statement) -> Any:
        """Send the statement; return how many rows it has changed."""
        with transaction.mark_for_rollback_on_error(using=wrapper.alias):
            return super().send(wrapper, filled)


@wraps(QuerySet.update)
def update(self: Any, /, **values: Any) -> Any:
    # Tools show what is in the frames around a query: see execution.get().
    run = _run(self, values)
    if run is None:
        call = [values, self]
        del self, values
        return update.__wrapped__(call.pop(), **call.pop())
    done = _native.rows.QuerysetCall(self)
    del self, values
    changed = run()
    done.queryset._result_cache = None
    return changed


def _run(queryset: Any, values: dict[str, Any]) -> writes.Run | None:
    """Return what updates the rows; None where that is left to Django."""
    path = path_of(queryset)
    if path is None or path.limits is not None or not values:
        return None
    if STEPS.is_forgotten(queryset):
        return None
    try:
        kinds = tuple(map(_kind, values.values()))
    except Missed:
        return None
    queryset._for_write = True
    key = "update", tuple(values), kinds
    known = path.node.entries.get(key)
    if known is None:
        try:
            _query(replay(queryset, path), values)
        except Exception:
            return None  # Django raises it, before it asks a router
        known = path.node.entries[key] = {}
    # Routers are asked twice, as by Django.
    using = queryset.db
    if queryset.db != using:
        return None
    call = _Call(queryset, path, using, known, values)
    return writes.run_of(call) or call.django


def _kind(value: Any) -> Any:
    """Return what of a new value decides the text. Raises Missed."""
    kind = type(value)
    if writes.is_plain(value):
        return kind
    if kind is F:
        return "F", value.name
    if kind is CombinedExpression and vars(value).keys() <= _COMBINED:
        return value.connector, _kind(value.lhs), _kind(value.rhs)
    if (
        kind is Value
        and vars(value).keys() <= _VALUE
        and value.value is not None
        and writes.is_plain(value.value)
    ):
        return Value, type(value.value)
    raise Missed


class _Call(FilteredCall):
    write = FilteredUpdate

    def __init__(
        self, queryset: Any, path: Any, using: str, known: Any, values: dict[str, Any]
    ) -> None:
        super().__init__(queryset, path, using)
        self.known = known
        self.key = using
        self._values = values

    def django(self) -> Any:
        # The queryset itself stays on its path; its routers have been asked.
        call = _native.rows.QuerysetCall(djangos(self.queryset, self.path))
        call.queryset._db = self.using
        return update.__wrapped__(call.queryset, **self._values)

    def prepares(self, compiler: Any) -> list[Prepare] | None:
        values = compiler.query.values
        if (
            not writes.can_compile(compiler, [field for field, _, _ in values])
            or compiler.query.related_updates
            or len(values) != len(self._values)
            or not all(_hands_on(field, value) for field, _, value in values)
        ):
            return None
        found = [each for field, _, value in values for each in _prepare(field, value)]
        # F("pages__abs") is an expression that is not known here.
        return found if len(found) == len(self.given()) else None

    def given(self) -> list[Any]:
        return [each for value in self._values.values() for each in _leaves(value)]

    def compiler(self, query: Any, *, is_blank: bool = False) -> Any:
        query = _query(query, self._values)
        if is_blank:
            query.values = [
                (writes.Blank(field), model, writes.blank(value))
                if writes.is_plain(value)
                else (field, model, value)
                for field, model, value in query.values
            ]
        query.clear_select_clause()
        return query.get_compiler(self.using)


def _query(query: Any, values: dict[str, Any]) -> Any:
    query = query.chain(sql.UpdateQuery)
    query.add_update_values(values)
    return query


def _hands_on(field: Any, value: Any) -> bool:
    """Tell whether a field has no say in what stands in the text for a value."""
    if value is None and NULL_IN_TEXT:
        names: tuple[str, ...] = _OF_NULL
    elif writes.is_plain(value):
        return True
    else:
        names = _OF_NULL[:1]
    return not any(
        name in vars(field) or not is_djangos_own(type(field), name) for name in names
    )


def _leaves(value: Any) -> Iterator[Any]:
    """Yield what of a new value becomes parameters, as they come in the text."""
    kind = type(value)
    if kind is CombinedExpression:
        yield from _leaves(value.lhs)
        yield from _leaves(value.rhs)
    elif kind is Value:
        yield value.value
    elif kind is not F and not (value is None and NULL_IN_TEXT):
        yield value


def _prepare(field: Any, value: Any) -> Iterator[Prepare]:
    """Yield how each leaf of a value becomes a parameter, of one that is resolved."""
    kind = type(value)
    if kind in (CombinedExpression, DurationExpression):
        yield from _prepare(field, value.lhs)
        yield from _prepare(field, value.rhs)
    elif kind is Value:
        # As it is once compiled: Django has found out of which type it is.
        yield _operand(value)
    elif kind is not Col and not (value is None and NULL_IN_TEXT):

        def plain(given: Any, wrapper: Any) -> Any:
            return writes.prepared(field, given, wrapper)

        yield plain


def _operand(resolved: Any) -> Prepare:
    def operand(given: Any, wrapper: Any) -> Any:
        again = copy.copy(resolved)
        again.value = given
        text, params = again.as_sql(None, wrapper)
        if text != "%s" or len(params) != 1:
            raise Missed
        return params[0]

    resolved = copy.copy(resolved)
    resolved.__dict__.pop("_constructor_args", None)
    resolved.value = None
    return operand
