"""`INSERT` of one row: what `save()`, `create()` and `bulk_create([one])` end with."""

from __future__ import annotations

from functools import partial, wraps
from itertools import repeat
from typing import Any

from django.db.models import QuerySet, sql

from ... import _native
from ...drivers.psycopg.fetched_rows import OF_INSERTS
from .. import changes, whole_results
from ..plans import plan_cache
from ..plans.result_format import Types
from . import asked_once, authors, writes
from .keys import Missed


class Insert(writes.Write):
    """A compiled INSERT, and how what it returns is read."""

    __slots__ = ("_plan", "_types", "_width")

    def __init__(self, compiler: Any, text: str, returning: list[Any]) -> None:
        fields, model = compiler.query.fields, compiler.query.model
        super().__init__(compiler, text, (fields, returning), fields)
        self._watches += changes.watches(map(type, returning), changes.OF_COLUMN)
        db, table = compiler.using, model._meta.db_table
        self._types = Types([(db, table, each.column) for each in returning])
        self._width = len(returning)
        self._plan = plan_cache.of_tuples(db, self._width)

    def send(self, wrapper: Any, filled: writes.Statement) -> list[Any]:
        """Send the statement; return what it returns."""
        if not self._width:
            super().send(wrapper, filled)
            return []
        sql, params, template = filled
        batch = whole_results.fetch(
            *(wrapper, self._plan, self._types, self._width),
            *(sql, tuple(params), template, OF_INSERTS),
            binds=True,
        )
        found: list[Any] = _native.rows.items(batch)
        return found


@wraps(QuerySet._insert)
def insert(self: Any, /, objs: Any, fields: Any, **options: Any) -> Any:
    # Tools show what is in the frames around a query: see execution.get().
    run = _run(self, objs, fields, **options)
    if run is None:
        call = [options, fields, objs, self]
        del self, objs, fields, options
        return insert.__wrapped__(call.pop(), call.pop(), call.pop(), **call.pop())
    del self, objs, fields, options
    return run()


def _run(
    queryset: Any,
    objs: Any,
    fields: Any,
    returning_fields: Any = None,
    raw: bool = False,
    using: str | None = None,
    on_conflict: Any = None,
    update_fields: Any = None,
    unique_fields: Any = None,
) -> writes.Run | None:
    """Return what inserts the row; None where that is left to Django."""
    if (
        using is None
        or type(objs) is not list
        or len(objs) != 1
        or not fields
        or update_fields
        or unique_fields
    ):
        return None
    queryset._for_write = True
    call = InsertCall(
        queryset, objs[0], fields, returning_fields, raw, using, on_conflict
    )
    return writes.run_of(call)


class InsertCall(writes.WriteCall):
    """One call of `QuerySet._insert()`."""

    def __init__(
        self,
        queryset: Any,
        instance: Any,
        fields: Any,
        returning: Any,
        raw: bool,
        using: str,
        on_conflict: Any,
    ) -> None:
        self.using = using
        self.known = writes.of(queryset.model)
        self.key = (
            *("insert", using, on_conflict),
            *(tuple(map(id, fields)), tuple(map(id, returning or ()))),
        )
        self._queryset = queryset
        self._instance = instance
        self._fields = list(fields)
        self._returning = list(returning or ())
        self._raw = raw
        self._on_conflict = on_conflict
        # What is saved, and what that becomes: each field is asked once.
        self.values: dict[int, Any] = {}
        self._prepared: dict[int, Any] = {}

    def compiled(self) -> Insert | None:
        compiler = self._compiler()
        authors.check_selected(self._returning)
        table = self._queryset.model._meta.db_table
        if not writes.can_compile(compiler, self._fields) or compiler.get_converters(
            [each.get_col(table) for each in self._returning]
        ):
            return None
        compiler.pre_save_val = lambda field, instance: None
        compiler.prepare_value = lambda field, value: value
        text, params = self._text(compiler)
        if not text.count("%s") == len(params) == len(self._fields):
            return None
        return Insert(compiler, text, self._returning)

    def params(self, write: Insert, wrapper: Any) -> list[Any]:
        return [self._param(field, wrapper) for field in self._fields]

    def _param(self, field: Any, wrapper: Any) -> Any:
        if self._raw:
            value = getattr(self._instance, field.attname)
        else:
            value = field.pre_save(self._instance, add=True)
        self.values[id(field)] = value
        if writes.is_plain(value):
            param = field.get_db_prep_save(value, connection=wrapper)
            self._prepared[id(field)] = param
            if writes.is_plain(param):
                return param
        raise Missed

    def after_values(self) -> writes.Run:
        return partial(self._compiler().execute_sql, self._returning)

    def as_sql(self) -> tuple[str, Any]:
        self._prepared = {}
        return self._text(self._compiler())

    def _text(self, compiler: Any) -> tuple[str, Any]:
        compiler.returning_fields = self._returning
        ((text, params),) = compiler.as_sql()
        return text, params

    def _compiler(self) -> Any:
        """Return Django's compiler, with the values that are known already."""
        query = sql.InsertQuery(self._queryset.model, on_conflict=self._on_conflict)
        query.insert_values(self._fields, [self._instance], raw=self._raw)
        compiler = query.get_compiler(using=self.using)
        asked_once.tell(compiler, repeat, self.values, self._prepared)
        return compiler
