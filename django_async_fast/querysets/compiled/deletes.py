"""`DELETE` of one row by its key: what `delete()` of an object ends with."""

from __future__ import annotations

from functools import wraps
from typing import Any

from django.db.models import sql

from . import writes


class Delete(writes.Write):
    """A compiled DELETE, and how its row is asked for."""

    __slots__ = ("key",)

    def __init__(self, compiler: Any, text: str, key: writes.Key) -> None:
        super().__init__(compiler, text, (), ())
        self.key = key
        self._watches += key.watches


@wraps(sql.DeleteQuery.delete_batch)
def delete_batch(self: Any, pk_list: Any, using: str) -> Any:
    run = None
    if (
        type(pk_list) is list
        and len(pk_list) == 1
        and type(self) is sql.DeleteQuery
        and not self.alias_map
        and not self.annotations
    ):
        run = writes.run_of(_Call(self, pk_list, using))
    return delete_batch.__wrapped__(self, pk_list, using) if run is None else run()


class _Call(writes.Call):
    def __init__(self, query: Any, pk_list: list[Any], using: str) -> None:
        self.using = using
        self.known = writes.of(query.model)
        self.key = "delete", using, type(pk_list[0])
        self._query = query
        self._pk_list = pk_list

    def django(self) -> Any:
        return delete_batch.__wrapped__(self._query, self._pk_list, self.using)

    def compiled(self) -> Delete | None:
        compiler = self._compiler()
        if not writes.can_compile(compiler, ()):
            return None
        text, params = compiler.as_sql()
        if not text.count("%s") == len(params) == 1:
            return None
        key = writes.Key(compiler.query.where, self._pk_list, compiler)
        return Delete(compiler, text, key)

    def params(self, write: Delete, wrapper: Any) -> list[Any]:
        return [write.key.param(self._pk_list, wrapper)]

    def as_sql(self) -> Any:
        return self._compiler().as_sql()

    def _compiler(self) -> Any:
        query = sql.DeleteQuery(self._query.model)
        field = query.get_meta().pk
        query.add_filter(f"{field.attname}__in", self._pk_list)
        table = query.get_meta().db_table
        query.alias_map = {table: query.alias_map[table]}
        return query.get_compiler(self.using)
