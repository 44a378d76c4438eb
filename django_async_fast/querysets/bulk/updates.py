"""`UPDATE ... FROM UNNEST(...)` of many objects: what `bulk_update()` sends.

Django sends a CASE of a WHEN for each object and field, which it compiles, and the
server plans, in time that grows faster than their number. The same values, cast to the
same types, come by a join here, where each is of a type that the core encodes.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import wraps
from math import copysign
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.core.exceptions import FieldDoesNotExist
from django.db import connections, transaction
from django.db.models import Case, QuerySet, Value, When, sql
from django.db.models.functions import Cast

from ...drivers.psycopg import statement
from ...unpatched import unpatched_class
from ..compiled import writes
from ..compiled.keys import Missed
from . import sending
from .columns import Column, is_only_cast

# What is not called here of querysets and of the expressions that Django makes.
_OF_QUERYSETS = (
    *("bulk_update", "using", "filter", "update", "query", "db", "_chain", "_clone"),
    *("_filter_or_exclude", "_filter_or_exclude_inplace"),
    "_not_support_combined_queries",
)
_COMPILING = "__init__", "as_sql", "as_postgresql", "resolve_expression"
# Each pair of them is equal in Python where it is on the server, and is ordered so.
_KEYS = frozenset({int, UUID})
_KEY_COLUMNS = frozenset({"bigint", "integer", "smallint", "uuid"})


class Join(writes.Write):
    """A compiled UPDATE of columns."""

    __slots__ = ("columns", "key")

    def __init__(
        self, compiler: Any, text: str, kept: Any, key: Column, columns: list[Column]
    ) -> None:
        made = [(kind, kind, _COMPILING) for kind in (Case, Cast, Value, When)]
        super().__init__(compiler, text, kept, (kept[1], *kept[0]), *made)
        self.key = key
        self.columns = columns

    def update(self, wrapper: Any, raw: Any, params: list[Any]) -> int:
        """Send the statement; return how many rows it has changed."""
        result = statement.execute_arrays(wrapper, raw, self.template, params)
        return int(result.command_tuples or 0)


@wraps(QuerySet.bulk_update)
def bulk_update(self: Any, objs: Any, fields: Any, batch_size: Any = None) -> Any:
    run = None
    if fields and (batch_size is None or not batch_size <= 0):
        # Once: either may be an iterator.
        objs, fields = tuple(objs), list(fields)
        run = _run(self, objs, fields, batch_size)
    if run is None:
        call = [batch_size, fields, objs, self]
        del self, objs, fields, batch_size
        return bulk_update.__wrapped__(*reversed(call))
    # Tools show what is in the frames around a query: see execution.get().
    del self, objs, fields, batch_size
    return run()


def _run(
    queryset: Any, objs: tuple[Any, ...], names: list[Any], batch_size: int | None
) -> writes.Run | None:
    """Return what updates the rows; None where that is left to Django."""
    fields = _fields(queryset, objs, names)
    if not fields:
        return None
    for obj in objs:
        obj._prepare_related_fields_for_save(
            operation_name="bulk_update", fields=fields
        )
    queryset._for_write = True
    db = queryset.db
    entry = known(queryset.model, db, fields)
    batches: list[list[Any]] = []
    # Django meets it again, in its own place: a transaction is to be rolled back.
    with suppress(Exception):
        if entry is not None:
            batches = _batches(entry, connections[db], objs, fields, batch_size)
    return _Update((queryset, objs, names, batch_size), db, entry, batches)


class _Update:
    """The statements with their arrays, which tools see in no frame."""

    __slots__ = ("_batches", "_call", "_db", "_entry")

    def __init__(
        self, call: tuple[Any, ...], db: str, entry: Any, batches: list[list[Any]]
    ) -> None:
        self._call = call
        self._db = db
        self._entry = entry
        # None of them where Django's own statements are to be sent.
        self._batches = batches

    def __call__(self) -> Any:
        db, changed = self._db, 0
        queryset, *args = self._call
        # Routers are asked three times, as by Django.
        if queryset.db != db or queryset.db != db:
            return bulk_update.__wrapped__(*self._call)
        queryset = queryset.using(db)
        if not self._batches:
            return bulk_update.__wrapped__(queryset, *args)
        with transaction.atomic(using=db, savepoint=False):
            wrapper = connections[db]
            # Not from before: another task's transaction may have been waited for.
            raw = sending.unobserved(wrapper)
            if raw is None:
                return bulk_update.__wrapped__(queryset, *args)
            for params in self._batches:
                with transaction.mark_for_rollback_on_error(using=db):
                    changed += self._entry.update(wrapper, raw, params)
        return changed


def _fields(queryset: Any, objs: tuple[Any, ...], names: list[Any]) -> list[Any]:
    """Return the fields, of the model's own table; none where Django has to look."""
    query, meta = queryset.query, queryset.model._meta
    if (
        not unpatched_class(type(queryset), QuerySet, _OF_QUERYSETS).holds()
        or type(query) is not sql.Query
        # As nobody has told it anything yet.
        or vars(query) != vars(sql.Query(queryset.model))
        or not objs
        or not all(each._is_pk_set() for each in objs)
    ):
        return []
    try:
        fields = [meta.get_field(name) for name in names]
    except FieldDoesNotExist:
        return []
    own = meta.concrete_model._meta.local_concrete_fields
    columns = {each for each in own if not each.generated}
    if meta.pk not in columns or not columns.issuperset(fields):
        return []
    return [] if {*meta.pk_fields} & {*fields} else list(dict.fromkeys(fields))


def known(model: Any, db: str, fields: list[Any]) -> Join | None:
    """Return the UPDATE of these fields; None where Django's is to be sent."""
    key = "join", db, model._meta.db_table, tuple(map(id, fields))
    found = writes.of(model)
    if key not in found:
        found[key] = None  # as it stays where Django's CASE is to be sent
        with suppress(Exception):
            found[key] = _compiled(model, db, fields)
    join: Join | None = found[key]
    return join


def is_key(field: Any, wrapper: Any) -> bool:
    """Tell whether the rows of a primary key can be joined: by an integer or a UUID."""
    column = Column(field, wrapper)
    return column.is_plain() and column.kind in _KEY_COLUMNS


def _compiled(model: Any, db: str, fields: list[Any]) -> Join | None:
    compiler = sql.UpdateQuery(model).get_compiler(db)
    wrapper, pk = compiler.connection, model._meta.pk
    columns = [Column(each, wrapper) for each in (pk, *fields)]
    if (
        not wrapper.features.requires_casted_case_in_updates
        or not writes.can_compile(compiler, ())
        or not all(each.is_encoded and is_only_cast(each.field) for each in columns)
    ):
        return None
    quoted = wrapper.ops.quote_name
    table = quoted(model._meta.db_table)
    values = ", ".join(f"(%s)::{each.sent_as}[]" for each in columns)
    names = ", ".join(f"c{i}" for i in range(len(columns)))
    sets = ", ".join(
        f"{quoted(each.column)} = (__values.c{i})::{each.cast_db_type(wrapper)}"
        for i, each in enumerate(fields, 1)
    )
    text = (
        f"UPDATE {table} SET {sets} FROM UNNEST({values}) "  # noqa: S608
        f"AS __values ({names}) "
        f"WHERE {table}.{quoted(pk.column)} = __values.c0"
    )
    return Join(compiler, text, (fields, pk), columns[0], columns[1:])


def _batches(
    entry: Join,
    wrapper: Any,
    objs: tuple[Any, ...],
    fields: list[Any],
    batch_size: int | None,
) -> list[list[Any]]:
    """Return the arrays of each batch, none where Django's statements are to be sent.

    Raises Missed, and what reading a value raises.
    """
    if not entry.holds(wrapper) or sending.unobserved(wrapper) is None:
        return []
    pk = fields[0].model._meta.pk
    longest = wrapper.ops.bulk_batch_size([pk, pk, *fields], objs)
    size = min(batch_size, longest) if batch_size else longest
    return [
        _params(entry, objs[i : i + size], wrapper) for i in range(0, len(objs), size)
    ]


_pk_of = attrgetter("pk")


def _is_negative_zero(value: Any) -> bool:
    # psycopg writes such a number as one that the server takes for a numeric, which
    # has no sign of zero.
    return type(value) is float and value == 0 and copysign(1, value) < 0


def _params(entry: Join, objs: Sequence[Any], wrapper: Any) -> list[Any]:
    """Return the arrays of a batch. Raises Missed where one cannot be."""
    by_key = {_pk_of(obj): obj for obj in objs}
    if len(by_key) != len(objs):
        # Of several objects of a row Django's CASE takes the first, but the server
        # reads the values of each, and may refuse one.
        raise Missed
    if len({*map(type, by_key)}) != 1 or not _KEYS.issuperset(map(type, by_key)):
        raise Missed
    # The rows are locked in this order: two tasks that update the same have the same.
    keys = sorted(by_key)
    found = [entry.key.array(keys)]
    for column in entry.columns:
        values = column.of([by_key[key] for key in keys])
        array: Any = column.array(values)
        if array is None:
            # What Django saves is an expression: it asks the field of that, too.
            if not column.saves_expressions(wrapper):
                raise Missed
            prepared: list[Any] = []
            column.prepare(values, wrapper, prepared)
            values, array = prepared, column.encoded(prepared, wrapper)
        if column.is_float and any(map(_is_negative_zero, values)):
            raise Missed
        found.append(array)
    if not all(type(each) is statement.Array for each in found):
        raise Missed
    if not sending.can_be_sent(found):
        raise Missed
    return found
