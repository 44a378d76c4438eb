"""`get()` by plain values of fields, without building its query again.

Django spends twice as long on building and compiling `get(pk=1)` as on sending it. The
first such query is Django's; a later one differs from it by the values, which are
prepared by Django's own lookups and fields, and put in the place of the first ones.

In: a queryset and the values given to `get()`.
Out: the row that is found, or Django's own `get()`.
Next: `connections/first_statement.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial, wraps
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import connections
from django.db.models import QuerySet, sql
from django.db.models.expressions import Col
from django.db.models.lookups import Exact
from django.db.models.query import ModelIterable
from django.db.models.sql.compiler import SQLCompiler

from ... import _native
from ...connections import first_statement
from ...connections.blocks import bridged_block
from ...drivers.psycopg.statement import template_of
from ...unpatched import Unpatched
from .. import streams, whole_results
from ..plans import plan_cache, row_plan
from .prepared_values import Prepared

# Values that `filter()` takes as they are, whatever the field.
_VALUES = frozenset({int, str, UUID})

# What is not called here. A queryset class or a tool that has its own is left to it.
_NOT_CALLED = (
    *("__init__", "__len__", "query", "db", "filter", "order_by", "_chain", "_clone"),
    *("_filter_or_exclude", "_filter_or_exclude_inplace", "_fetch_all"),
)


def _unpatched(kind: type[Any]) -> Unpatched:
    return Unpatched(
        (kind, QuerySet, _NOT_CALLED),
        (ModelIterable, ModelIterable),
        (sql.Query, sql.Query),
        (SQLCompiler, SQLCompiler),
    )


# Nothing that a queryset can be told before `get()` is allowed for; these are of its
# own attributes, the rest is in its query.
_told = attrgetter(
    *("_iterable_class", "_fields", "_prefetch_related_lookups", "_sticky_filter"),
    *("_known_related_objects", "_deferred_filter", "_defer_next_filter"),
)
_UNTOLD: tuple[Any, ...] = ModelIterable, None, (), False, {}, None, False


@dataclass(slots=True)
class Shape:
    """A compiled `get()`, whose values are still to be filled in."""

    # The plan and what it was made for. Another plan has taken its place: stale.
    made: Any
    plan_key: Any
    sql: str
    template: bytes
    columns: int
    # For each value, in the order of the statement: the name it is given by, the
    # column and the lookup that Django makes of it, the SQL that stands for the value;
    # how the value is prepared, None where the lookup has to be made for that.
    lookups: list[tuple[str, Col, Any, str, Prepared | None]]

    def params(self, values: dict[str, Any], db: str) -> tuple[Any, ...] | None:
        """Return the statement's parameters for `values`, None if they do not fit."""
        found: list[Any] = []
        for name, column, lookup, wanted, prepared in self.lookups:
            if lookup_of(column.output_field, "exact") is not lookup:
                return None
            if prepared is not None:
                param = prepared.param(values[name])
                if param is not None:
                    found.append(param)
                    continue
            made = lookup(column, values[name])
            if made.rhs is None or hasattr(made.rhs, "as_sql"):
                return None  # IS NULL; an expression
            try:
                # Without a compiler, which only expressions ask for.
                sql, params = made.process_rhs(None, connections[db])
            except (EmptyResultSet, FullResultSet):
                return None
            if sql != wanted:
                return None
            found += params
        return tuple(found)


def lookup_of(field: Any, name: str) -> Any:
    """Return `field.get_lookup(name)`, which imports something each time."""
    if "instance_lookups" in vars(field):
        return field.get_lookup(name)
    return field.get_class_lookups().get(name)


class _Known:
    """The shapes of one model, kept in its `_meta`: they live as long as it."""

    def __init__(self, model: Any) -> None:
        query = sql.Query(model)
        # As a manager makes it; and after `using()`, `all()` or another step.
        self.untold = vars(query), vars(query.chain())
        # A shape of None: never.
        self.shapes: dict[Any, Shape | None] = {}
        self.columns_of = _columns_of(model)
        # For each class of querysets, whether it calls what Django has written.
        self.unpatched: dict[type[Any], Unpatched] = {}


_columns_of = attrgetter("_meta.concrete_fields", "_meta.db_table")


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
    # Tools show what is in the frames around a query: nothing may be in this one whose
    # repr is another. A frame of Django's they leave out.
    find = None if args or not kwargs else _find(self, kwargs)
    if find is None:
        call = [kwargs, args, self]
        del self, args, kwargs
        return get.__wrapped__(call.pop(), *call.pop(), **call.pop())
    del self
    return find()


def _find(queryset: Any, values: dict[str, Any]) -> _First | _Again | None:
    """Return what finds the row without Django's `get()`; None if nothing does."""
    if not _VALUES.issuperset(map(type, values.values())):
        return None
    known = _known(queryset)
    if known is None:
        return None
    db, mode = queryset.db, getattr(queryset, "_fetch_mode", None)
    key = type(queryset), db, mode, *values, *map(type, values.values())
    try:
        shape = known.shapes[key]
    except KeyError:
        return _First(queryset, db, values, known.shapes, key)
    if shape is None:
        return None
    if plan_cache.is_stale(shape.plan_key, shape.made):
        known.shapes.pop(key, None)
        return None
    if row_plan.why_from_db(queryset.model):
        return None
    params = shape.params(values, db)
    if params is None:
        return None
    return _Again(queryset, shape, db, params, values)


def plain(queryset: Any) -> bool:
    """Tell whether a queryset is as Django's managers make it, and told nothing."""
    return _known(queryset) is not None


def _known(queryset: Any) -> _Known | None:
    """Return the shapes of the queryset's model, None if it is not a plain one."""
    query, model = queryset._query, queryset.model
    meta = vars(model._meta)
    known: _Known | None = meta.get("_daf_shapes")
    if known is None or known.columns_of != _columns_of(model):
        known = meta["_daf_shapes"] = _Known(model)
    unpatched = known.unpatched.get(type(queryset))
    if unpatched is None:
        unpatched = known.unpatched[type(queryset)] = _unpatched(type(queryset))
    if not unpatched.holds():
        return None
    if type(query) is not sql.Query or vars(query) not in known.untold:
        return None
    if not getattr(queryset, "_cloning_enabled", True):  # Django 6.1
        return None
    return known if _told(queryset) == _UNTOLD else None


class _Again:
    """A `get()` like one before."""

    __slots__ = ("_db", "_params", "_queryset", "_shape", "_values")

    def __init__(
        self, queryset: Any, shape: Shape, db: str, params: Any, values: dict[str, Any]
    ) -> None:
        self._queryset = queryset
        self._shape = shape
        self._db = db
        self._params = params
        self._values = values

    def __call__(self) -> Any:
        rows = self._rows()
        if len(rows) == 1:
            return rows[0]
        # Django's words for none and for many.
        found = _Filtered(self._queryset.model, rows)
        return get.__wrapped__(found, **self._values)

    def _rows(self) -> list[Any]:
        """Return the rows that are found."""
        shape = self._shape
        wrapper = first_statement.wrapper(bridged_block(), self._db)
        rows, types = shape.made
        statement = shape.columns, shape.sql, self._params, shape.template
        batch = whole_results.fetch(wrapper, rows, types, *statement)
        found: list[Any] = _native.rows.items(batch)
        return found


# ----- the first of its shape


class _First:
    """Django's `get()`, whose compiled query is taken down."""

    __slots__ = ("_key", "_queryset", "_seen", "_shapes", "_values")

    def __init__(
        self,
        queryset: Any,
        db: str,
        values: dict[str, Any],
        shapes: dict[Any, Any],
        key: Any,
    ) -> None:
        self._seen: list[Any] = []
        self._queryset = queryset._chain()
        self._queryset._db = db  # asked again, a router may choose another
        self._queryset._iterable_class = partial(_see, self._seen)
        self._values = values
        self._shapes = shapes
        self._key = key

    def __call__(self) -> Any:
        found = get.__wrapped__(self._queryset, **self._values)
        if self._seen:
            self._shapes[self._key] = _shape(self._seen[0], self._values)
        return found


def _see(seen: list[Any], queryset: Any, **options: Any) -> ModelIterable:
    queryset._iterable_class = ModelIterable
    seen.append(queryset)
    return ModelIterable(queryset, **options)


def _shape(queryset: Any, values: dict[str, Any]) -> Shape | None:
    """Return the shape of a query that `get()` has run, None if it has none."""
    compiler = queryset.query.get_compiler(queryset.db)
    statement, params = compiler.as_sql()
    plan_key = row_plan.plain_key(queryset, compiler)
    if plan_key is None or streams.why_not(compiler):
        return None
    made = plan_cache.plan_for(row_plan.models, queryset, compiler)
    if plan_cache.is_stale(plan_key, made):
        return None  # a plan with converters is not kept
    lookups = list(_lookups(queryset, values, compiler))
    template = template_of(statement)
    shape = Shape(made, plan_key, statement, template, compiler.col_count, lookups)
    fits = shape.params(values, queryset.db) == params
    if not fits or len(lookups) != len(queryset.query.where.children):
        return None
    return shape


def _lookups(
    queryset: Any, values: dict[str, Any], compiler: Any
) -> Iterator[tuple[str, Col, Any, str, Prepared | None]]:
    # In the order that Q sorts them.
    names = sorted(values)
    for name, lookup in zip(names, queryset.query.where.children, strict=False):
        meta = queryset.model._meta
        if "__" in name or not isinstance(lookup, Exact):
            return
        field = meta.pk if name == "pk" else meta.get_field(name)
        if type(lookup.lhs) is not Col or lookup.lhs.target is not field:
            return
        kind: Any = type(lookup)
        if not kind.__module__.startswith("django.") or hasattr(kind, "as_postgresql"):
            return
        wrapper = compiler.connection
        sql, params = lookup.process_rhs(compiler, wrapper)
        prepared = Prepared.like(field, kind, values[name], params, wrapper)
        yield name, lookup.lhs, kind, sql, prepared
