"""`DELETE` of rows by their keys: what `delete()` ends with once it has the objects.

Django deletes a hundred rows by a statement. Where nobody sees the statements, and no
row takes others with it on the server, one deletes them all by an array of the keys.
"""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from django.db.models import Model, deletion, sql
from django.db.models.sql.constants import GET_ITERATOR_CHUNK_SIZE

from ...drivers.psycopg import statement
from .. import whole_results
from ..plain_fields import KEYS
from . import arrays, prepared_values, verify, writes
from .keys import Missed

_IN = " IN (%s)"
# What leaves other rows to the server; 6.1 has more of these.
_ON_THE_SERVER = getattr(deletion, "SKIP_COLLECTION", {deletion.DO_NOTHING})


class Delete(writes.Write):
    """A compiled DELETE, and how its row is asked for."""

    __slots__ = ("key",)

    def __init__(self, compiler: Any, text: str, key: writes.Key) -> None:
        super().__init__(compiler, text, (), ())
        self.key = key
        self._watches += key.watches


class DeleteMany(Delete):
    """A compiled DELETE by an array, and how that is made of keys of one class."""

    __slots__ = ("_array", "_prepared")

    def __init__(
        self, compiler: Any, text: str, key: writes.Key, prepared: Any
    ) -> None:
        super().__init__(compiler, text, key)
        self._prepared, self._array = prepared

    def array(self, keys: list[Any]) -> arrays.Parameter:
        """Return the parameter. Raises Missed."""
        kind = type(keys[0])
        found = None
        if {*map(type, keys)} == {kind} and self._prepared.param(keys[0]) is not None:
            found = self._array(keys)
        if found is None:
            raise Missed
        return found

    def send(self, wrapper: Any, filled: writes.Statement) -> Any:
        """Send the statement, or Django's to who sees it; return how many rows went."""
        text, array, djangos = filled
        raw = statement.unobserved(wrapper)
        if raw is None or not whole_results.takes_arrays(raw):
            return djangos()
        return statement.execute(wrapper, raw, text, (), self.template, [array])


@wraps(sql.DeleteQuery.delete_batch)
def delete_batch(self: Any, pk_list: Any, using: str) -> Any:
    run = None
    if (
        type(pk_list) is list
        and pk_list
        and type(self) is sql.DeleteQuery
        and not self.alias_map
        and not self.annotations
    ):
        if len(pk_list) == 1:
            run = writes.run_of(_DeleteCall(self, pk_list, using))
        elif len(pk_list) > GET_ITERATOR_CHUNK_SIZE and not verify.ON:
            run = writes.run_of(_CallOfMany(self, pk_list, using))
    return delete_batch.__wrapped__(self, pk_list, using) if run is None else run()


class _DeleteCall(writes.WriteCall):
    def __init__(self, query: Any, pk_list: list[Any], using: str) -> None:
        self.using = using
        self.known = writes.of(query.model)
        self.key = "delete", using, type(pk_list[0])
        self._query = query
        self._pk_list = pk_list

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
        query.add_filter(f"{field.attname}__in", self._pk_list[:1])
        table = query.get_meta().db_table
        query.alias_map = {table: query.alias_map[table]}
        return query.get_compiler(self.using)


class _CallOfMany(_DeleteCall):
    def __init__(self, query: Any, pk_list: list[Any], using: str) -> None:
        super().__init__(query, pk_list, using)
        self.key = "delete many", using, type(pk_list[0])

    def compiled(self) -> DeleteMany | None:
        compiler = self._compiler()
        model, wrapper = compiler.query.model, compiler.connection
        if not writes.can_compile(compiler, ()) or _takes_others(model):
            return None
        text, params = compiler.as_sql()
        prepared = _prepared(compiler.query.where, self._pk_list[0], params, wrapper)
        if prepared is None or not text.endswith(_IN) or text.count("%s") != 1:
            return None
        key = writes.Key(compiler.query.where, self._pk_list[:1], compiler)
        text = f"{text.removesuffix(_IN)} = ANY($1)"
        return DeleteMany(compiler, text, key, prepared)

    def statement(self, write: DeleteMany, wrapper: Any) -> writes.Statement:
        djangos = partial(
            delete_batch.__wrapped__, self._query, self._pk_list, self.using
        )
        return write.sql, write.array(self._pk_list), djangos


def _prepared(
    where: Any, value: Any, params: Any, wrapper: Any
) -> tuple[Any, Callable[[list[Any]], arrays.Parameter | None]] | None:
    """Return what tells that Django hands such keys on, and makes an array of them."""
    (lookup,) = where.children
    field = lookup.lhs.target
    target = field.target_field if type(field) in KEYS else field
    fields = (field,) if field is target else (field, target)
    like = prepared_values.like(fields, lookup, [value], params, wrapper)
    array = arrays.of(field, type(value), wrapper)
    return None if like is None or array is None else (like, array)


def _takes_others(model: type[Model]) -> bool:
    """Tell whether the server may delete, or change, other rows with a model's."""
    related = deletion.get_candidate_relations_to_delete(model._meta)
    return any(each.on_delete in _ON_THE_SERVER for each in related)
