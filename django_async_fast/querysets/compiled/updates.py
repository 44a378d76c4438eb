"""`UPDATE` of one row by its key: what `save()` of an object that exists ends with."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, partial, wraps
from typing import Any

import django
from django.db import connections
from django.db.models import Model, QuerySet, sql

from ...unpatched import Unpatched
from . import verify, writes
from .paths import plain

# Whether Django writes NULL into the text of an UPDATE, not `%s`.
_NULL_IN_TEXT = django.VERSION < (6, 1)


@cache
def _unpatched(kind: Any) -> Unpatched:
    """Tell whether the base manager's querysets update as Django's."""
    return Unpatched((kind, QuerySet, ("_update", "filter", "db")))


class Update(writes.Write):
    """A compiled UPDATE, and how its row is asked for."""

    __slots__ = ("key", "width")

    def __init__(self, compiler: Any, text: str, kept: Any, key: writes.Key) -> None:
        super().__init__(compiler, text, kept)
        self.key = key
        self.width = text.count("%s")

    def change(self, db: str, params: list[Any]) -> Any:
        """Send the statement; return what Django's `_do_update()` does."""
        changed = self.execute(db, params)
        return changed > 0 if django.VERSION < (6,) else [()] * changed


@wraps(Model._do_update)
def do_update(self: Any, /, *args: Any) -> Any:
    # Tools show what is in the frames around a query: see execution.get().
    run = _run(self, *args)
    if run is None:
        call = [args, self]
        del self, args
        return do_update.__wrapped__(call.pop(), *call.pop())
    del self, args
    return run()


def _run(
    instance: Any,
    base_qs: Any,
    using: str,
    pk_val: Any,
    values: list[Any],
    update_fields: Any,
    forced_update: Any,
    returning_fields: Any = (),  # Django 6.0
) -> writes.Run | None:
    """Return what updates the row; None where that is left to Django."""
    kind: Any = type(base_qs)
    if (
        not values
        or returning_fields
        or (instance._meta.select_on_save and not forced_update)
        or base_qs._db != using
        or not plain(base_qs)
        or not _unpatched(kind).holds()
    ):
        return None
    model = base_qs.model
    fields = tuple([id(field) for field, _, _ in values])
    nulls = _NULL_IN_TEXT and tuple([value is None for _, _, value in values])
    key = "update", using, type(pk_val), model._meta.db_table, fields, nulls
    known = writes.of(model)
    try:
        entry = known[key]
    except KeyError:
        args = pk_val, values, update_fields, forced_update, returning_fields
        first = _First(instance, base_qs, using, args, known, key)
        if not verify.ON:
            return first
        first.learn()
        entry = known.get(key)
    wrapper = connections[using]
    if entry is None or not entry.holds(wrapper):
        return None
    params = []
    try:
        for field, _, value in values:
            if not writes.is_plain(value):
                return None
            params.append(writes.prepared(field, value, wrapper))
        if _NULL_IN_TEXT:
            params = [each for each in params if each is not None]
        params.append(entry.key.param(pk_val, wrapper))
    except writes.NotPlain:
        return None
    if len(params) != entry.width:
        return None
    if verify.ON:
        compiler = _compiler(base_qs, pk_val, values, using)
        verify.same(entry.sql, params, compiler.as_sql())
    return writes.Again(entry.change, using, params)


class _First:
    """Django's UPDATE, whose text is taken down."""

    def __init__(
        self,
        instance: Any,
        base_qs: Any,
        using: str,
        args: tuple[Any, ...],
        known: dict[Any, Any],
        key: Any,
    ) -> None:
        self._instance = instance
        self._base_qs = base_qs
        self._using = using
        self._args = args
        self._known = known
        self._key = key

    def __call__(self) -> Any:
        args = self._args if django.VERSION >= (6,) else self._args[:-1]
        found = do_update.__wrapped__(self._instance, self._base_qs, self._using, *args)
        self.learn()
        return found

    def learn(self) -> None:
        pk_val, values, *_ = self._args
        if all(writes.is_plain(value) for _, _, value in values):
            compiled = partial(self._compiled, pk_val, values)
            writes.learn(self._known, self._key, compiled)

    def _compiled(self, pk_val: Any, values: list[Any]) -> Update | None:
        fields = [field for field, _, _ in values]
        compiler = _compiler(self._base_qs, pk_val, values, self._using)
        if not writes.can_compile(compiler, fields):
            return None
        text, params = compiler.as_sql()
        nulls = _NULL_IN_TEXT and sum(value is None for _, _, value in values)
        if not text.count("%s") == len(params) == len(fields) - nulls + 1:
            return None
        key = writes.Key(compiler.query.where, pk_val, compiler)
        return Update(compiler, text, fields, key)


def _compiler(base_qs: Any, pk_val: Any, values: Iterable[Any], using: str) -> Any:
    query = base_qs.filter(pk=pk_val).query.chain(sql.UpdateQuery)
    query.add_update_fields(values)
    return query.get_compiler(using)
