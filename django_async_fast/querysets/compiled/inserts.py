"""`INSERT` of one row: what `save()`, `create()` and `bulk_create([one])` end with."""

from __future__ import annotations

from functools import wraps
from typing import Any

from django.db import connections
from django.db.models import QuerySet, sql

from ... import _native
from ...drivers.psycopg.fetched_rows import OF_INSERTS
from .. import whole_results
from ..plans import plan_cache
from ..plans.result_format import Types
from . import verify, writes


class Insert(writes.Write):
    """A compiled INSERT, and how what it returns is read."""

    __slots__ = ("_plan", "_types", "_width")

    def __init__(self, compiler: Any, text: str, returning: list[Any]) -> None:
        fields, model = compiler.query.fields, compiler.query.model
        super().__init__(compiler, text, (fields, returning))
        db, table = compiler.using, model._meta.db_table
        self._types = Types([(db, table, each.column) for each in returning])
        self._width = len(returning)
        self._plan = _native.rows.TuplePlan(
            width=self._width,
            converters=[],
            connection=None,
            translate_error=plan_cache.translator(db),
        )

    def rows(self, db: str, params: list[Any]) -> list[Any]:
        """Send the statement; return what it returns."""
        if not self._width:
            self.execute(db, params)
            return []
        statement = self._width, self.sql, tuple(params), self.template, OF_INSERTS
        batch = whole_results.fetch(
            connections[db], self._plan, self._types, *statement
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
    model, returning = queryset.model, list(returning_fields or ())
    key = (
        *("insert", using, on_conflict, model._meta.db_table),
        *(tuple(map(id, fields)), tuple(map(id, returning))),
    )
    known = writes.of(model)
    try:
        entry = known[key]
    except KeyError:
        first = _First(queryset, objs, list(fields), returning, raw, using, on_conflict)
        if not verify.ON:
            return first
        first.learn()
        entry = known.get(key)
    wrapper = connections[using]
    if entry is None or not entry.holds(wrapper):
        return None
    queryset._for_write = True
    found = _Values(objs[0], raw)
    try:
        params = [writes.prepared(field, found.of(field), wrapper) for field in fields]
    except writes.NotPlain:
        return found.djangos(model, fields, raw, using, on_conflict, returning_fields)
    if verify.ON:
        djangos = found.djangos(model, fields, raw, using, on_conflict, returning)
        verify.same(entry.sql, params, djangos.compiled())
    return writes.Again(entry.rows, using, params)


class _Values:
    """What is saved of an object: each field's `pre_save()` is called once."""

    def __init__(self, instance: Any, raw: bool) -> None:
        self._instance = instance
        self._raw = raw
        self._found: dict[int, Any] = {}

    def of(self, field: Any) -> Any:
        """Return the value of a field. Raises NotPlain; Django takes it from there."""
        if self._raw:
            value = getattr(self._instance, field.attname)
        else:
            value = field.pre_save(self._instance, add=True)
        self._found[id(field)] = value
        if not writes.is_plain(value):
            raise writes.NotPlain
        return value

    def djangos(
        self,
        model: Any,
        fields: Any,
        raw: bool,
        using: str,
        on_conflict: Any,
        returning: Any,
    ) -> _Django:
        """Return Django's own INSERT, with the values that are found already."""
        compiler = _compiler(model, [self._instance], fields, raw, using, on_conflict)
        pre_save_val = compiler.pre_save_val

        def once(field: Any, instance: Any) -> Any:
            if id(field) in self._found:
                return self._found[id(field)]
            return pre_save_val(field, instance)

        compiler.pre_save_val = once
        return _Django(compiler, returning)


class _Django:
    """An INSERT that Django compiles and executes."""

    def __init__(self, compiler: Any, returning: Any) -> None:
        self._compiler = compiler
        self._returning = returning

    def __call__(self) -> Any:
        return self._compiler.execute_sql(self._returning)

    def compiled(self) -> tuple[str, Any]:
        """Return its text and parameters."""
        self._compiler.returning_fields = self._returning
        ((text, params),) = self._compiler.as_sql()
        return text, params


class _First:
    """Django's INSERT, whose text is taken down."""

    def __init__(
        self,
        queryset: Any,
        objs: list[Any],
        fields: list[Any],
        returning: list[Any],
        raw: bool,
        using: str,
        on_conflict: Any,
    ) -> None:
        self._queryset = queryset
        self._objs = objs
        self._fields = fields
        self._returning = returning
        self._raw = raw
        self._using = using
        self._on_conflict = on_conflict

    def __call__(self) -> Any:
        rows = insert.__wrapped__(
            self._queryset,
            self._objs,
            self._fields,
            returning_fields=self._returning,
            raw=self._raw,
            using=self._using,
            on_conflict=self._on_conflict,
        )
        self.learn()
        return rows

    def learn(self) -> None:
        fields, returning = self._fields, self._returning
        model = self._queryset.model
        # With the values as they are: `pre_save()` has been called already.
        values = [getattr(self._objs[0], each.attname) for each in fields]
        if not all(map(writes.is_plain, values)):
            return  # perhaps the next one's are plain
        key = (
            *("insert", self._using, self._on_conflict, model._meta.db_table),
            *(tuple(map(id, fields)), tuple(map(id, returning))),
        )
        writes.learn(writes.of(model), key, self._compiled)

    def _compiled(self) -> Insert | None:
        fields, returning = self._fields, self._returning
        model = self._queryset.model
        compiler = _compiler(
            model, self._objs, fields, True, self._using, self._on_conflict
        )
        table = model._meta.db_table
        if not writes.can_compile(compiler, fields) or compiler.get_converters(
            [each.get_col(table) for each in returning]
        ):
            return None
        text, params = _Django(compiler, returning).compiled()
        if not text.count("%s") == len(params) == len(fields):
            return None
        return Insert(compiler, text, returning)


def _compiler(
    model: Any, objs: list[Any], fields: Any, raw: bool, using: str, on_conflict: Any
) -> Any:
    query = sql.InsertQuery(model, on_conflict=on_conflict)
    query.insert_values(list(fields), objs, raw=raw)
    return query.get_compiler(using=using)
