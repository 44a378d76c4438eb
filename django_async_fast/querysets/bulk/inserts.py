"""`INSERT ... SELECT * FROM UNNEST(...)` of many objects: what `bulk_create()` sends.

The text is Django's, compiled once: it is the same for any number of objects from two
on. Django's parameters are a list for each column, which psycopg makes text of.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial, wraps
from types import SimpleNamespace
from typing import Any

import django
from django.db.models.expressions import DatabaseDefault
from django.db.models.sql.compiler import SQLInsertCompiler

from ... import _native
from ...drivers.psycopg import results, statement
from ..compiled import asked_once, authors, writes
from ..compiled.keys import Missed
from ..plans import plan_cache
from . import sending
from .columns import Column, is_djangos, is_read

# Whether Django asks for the values of one object after the other, not of one field.
_BY_OBJECT = django.VERSION < (6, 0)


class Unnest(writes.Write):
    """A compiled INSERT of columns, and how what it returns is read."""

    __slots__ = ("_plan", "columns", "width")

    def __init__(
        self, compiler: Any, text: str, kept: Any, columns: list[Column], width: int
    ) -> None:
        super().__init__(compiler, text, kept, compiler.query.fields)
        self.columns = columns
        self.width = width
        self._plan = plan_cache.of_tuples(compiler.using, width)

    def insert(self, wrapper: Any, raw: Any, params: list[Any]) -> list[Any]:
        """Send the statement; return the rows that it returns."""
        result = statement.execute_arrays(wrapper, raw, self.template, params)
        if not self.width:
            return []
        with raw.cursor() as cursor:
            decoders = results.decoders(raw)
            batch = decoders.batch(self._plan, raw, cursor, result, self.width)
            found: list[Any] = _native.rows.items(batch)
        return found


@wraps(SQLInsertCompiler.execute_sql)
def execute_sql(self: Any, returning_fields: Any = None) -> Any:
    # Tools show what is in the frames around a query: see execution.get().
    run = None if len(self.query.objs) < 2 else _run(self, returning_fields)
    if run is None:
        return execute_sql.__wrapped__(self, returning_fields)
    del self, returning_fields
    return run()


def _run(compiler: Any, returning: Any) -> writes.Run | None:
    """Return what inserts the rows; None where that is left to Django."""
    query, wrapper = compiler.query, compiler.connection
    if query.raw or not query.fields or wrapper.vendor != "postgresql":
        return None
    returning = list(returning or ())
    left_out = _left_to_the_database(query)
    kept = list(query.fields), returning, *(query.update_fields, query.unique_fields)
    key = (
        *("unnest", compiler.using, query.on_conflict, query.get_meta().db_table),
        *(left_out, *(tuple(map(id, each)) for each in kept)),
    )
    known = writes.of(query.model)
    if key not in known:
        known[key] = None  # as it stays for what Django does not compile, or otherwise
        with suppress(Exception):
            known[key] = compiled(compiler, returning, left_out, kept)
    entry = known.get(key)
    if entry is None or not entry.holds(wrapper):
        return None
    raw = sending.unobserved(wrapper)
    if raw is None or results.decoders(raw).zone != wrapper.timezone:
        return None
    if _BY_OBJECT and sum(not is_djangos(each.field) for each in entry.columns) > 1:
        return None  # what either does, the other may notice
    found = _Values(query.objs)
    try:
        params = [found.of(column, wrapper) for column in entry.columns]
    except Missed:
        params = []
    if not sending.can_be_sent(params):
        return found.djangos(compiler, returning)
    return partial(entry.insert, wrapper, raw, params)


def _left_to_the_database(query: Any) -> tuple[str, ...]:
    """Return the fields of which no object has a value: Django leaves them out."""
    return tuple(
        each.attname
        for each in query.fields
        if each.has_db_default()
        and is_read(each)
        and all(
            isinstance(vars(obj).get(each.attname), DatabaseDefault)
            for obj in query.objs
        )
    )


class _Values:
    """What is saved of objects, and what it becomes: each field is asked once for each.

    By field, as far as it is found: an expression is Django's.
    """

    def __init__(self, objs: Any) -> None:
        self._objs = objs
        self._found: dict[int, list[Any]] = {}
        self._prepared: dict[int, list[Any]] = {}

    def of(self, column: Column, wrapper: Any) -> Any:
        """Return a column's parameter. Raises Missed; Django takes it from there."""
        field = column.field
        if is_read(field):
            values = column.of(self._objs)
        elif is_djangos(field):
            values = self._found[id(field)] = []
            for each in self._objs:
                values.append(field.pre_save(each, add=True))
        else:
            return self._of_field(column, wrapper)
        array = column.array(values)
        if array is not None:
            return array
        prepared = self._prepared[id(field)] = []
        column.prepare(values, wrapper, prepared)
        return column.encoded(prepared, wrapper)

    def _of_field(self, column: Column, wrapper: Any) -> Any:
        """Ask a field object by object: after an error the later ones are not."""
        values = self._found[id(column.field)] = []
        prepared = self._prepared[id(column.field)] = []
        for each in self._objs:
            values.append(column.field.pre_save(each, add=True))
            column.prepare(values[-1:], wrapper, prepared)
        return column.encoded(prepared, wrapper)

    def djangos(self, compiler: Any, returning: Any) -> writes.Run:
        """Return Django's own INSERT, with what is found already."""
        asked_once.tell(compiler, iter, self._found, self._prepared)
        return partial(execute_sql.__wrapped__, compiler, returning)


def compiled(
    compiler: Any, returning: list[Any], left_out: tuple[str, ...], kept: Any
) -> Unnest | None:
    """Return the statement; None where Django's text is not of UNNEST, or not kept."""
    query, wrapper = compiler.query, compiler.connection
    table = query.get_meta().db_table
    authors.check_selected(returning)
    if not writes.can_compile(compiler, query.fields) or compiler.get_converters(
        [each.get_col(table) for each in returning]
    ):
        return None
    empty = {each.attname: None for each in query.fields}
    empty |= {name: getattr(query.objs[0], name) for name in left_out}
    again = query.clone()
    again.insert_values(query.fields, [SimpleNamespace(**empty)] * 2, raw=True)
    text, params = _text(again.get_compiler(compiler.using), returning)
    fields = [each for each in query.fields if each.attname not in left_out]
    if params != ([None, None],) * len(fields) or text.count("%s") != len(fields):
        return None
    columns = [Column(each, wrapper) for each in fields]
    return Unnest(compiler, text, kept, columns, len(returning))


def _text(compiler: Any, returning: list[Any]) -> tuple[str, Any]:
    """Return Django's statement for objects without values; no field is asked."""
    compiler.prepare_value = lambda field, value: value
    compiler.returning_fields = returning
    ((text, params),) = compiler.as_sql()
    return text, params
