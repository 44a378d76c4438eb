"""`DELETE` of one row by its key: what `delete()` of an object ends with."""

from __future__ import annotations

from functools import wraps
from typing import Any

from django.db import connections
from django.db.models import sql

from . import verify, writes


class Delete(writes.Write):
    """A compiled DELETE, and how its row is asked for."""

    __slots__ = ("key",)

    def __init__(self, compiler: Any, text: str, key: writes.Key) -> None:
        super().__init__(compiler, text, ())
        self.key = key


@wraps(sql.DeleteQuery.delete_batch)
def delete_batch(self: Any, pk_list: Any, using: str) -> Any:
    run = _run(self, pk_list, using)
    return delete_batch.__wrapped__(self, pk_list, using) if run is None else run()


def _run(query: Any, pk_list: Any, using: str) -> writes.Run | None:
    """Return what deletes the row; None where that is left to Django."""
    if (
        type(pk_list) is not list
        or len(pk_list) != 1
        or type(query) is not sql.DeleteQuery
        or query.alias_map
        or query.annotations
    ):
        return None
    model = query.model
    key = "delete", using, type(pk_list[0]), model._meta.db_table
    known = writes.of(model)
    try:
        entry = known[key]
    except KeyError:
        first = _First(query, pk_list, using, known, key)
        if not verify.ON:
            return first
        first.learn()
        entry = known.get(key)
    wrapper = connections[using]
    if entry is None or not entry.holds(wrapper):
        return None
    try:
        params = [entry.key.param(pk_list, wrapper)]
    except writes.NotPlain:
        return None
    if verify.ON:
        verify.same(entry.sql, params, _compiler(model, pk_list, using).as_sql())
    return writes.Again(entry.execute, using, params)


class _First:
    """Django's DELETE, whose text is taken down."""

    def __init__(
        self, query: Any, pk_list: Any, using: str, known: dict[Any, Any], key: Any
    ) -> None:
        self._query = query
        self._pk_list = pk_list
        self._using = using
        self._known = known
        self._key = key

    def __call__(self) -> Any:
        deleted = delete_batch.__wrapped__(self._query, self._pk_list, self._using)
        self.learn()
        return deleted

    def learn(self) -> None:
        writes.learn(self._known, self._key, self._compiled)

    def _compiled(self) -> Delete | None:
        compiler = _compiler(self._query.model, self._pk_list, self._using)
        if not writes.can_compile(compiler, ()):
            return None
        text, params = compiler.as_sql()
        if not text.count("%s") == len(params) == 1:
            return None
        key = writes.Key(compiler.query.where, self._pk_list, compiler)
        return Delete(compiler, text, key)


def _compiler(model: Any, pk_list: list[Any], using: str) -> Any:
    query = sql.DeleteQuery(model)
    field = query.get_meta().pk
    query.add_filter(f"{field.attname}__in", pk_list)
    table = query.get_meta().db_table
    query.alias_map = {table: query.alias_map[table]}
    return query.get_compiler(using)
