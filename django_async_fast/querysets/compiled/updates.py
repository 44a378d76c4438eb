"""`UPDATE` of one row by its key: what `save()` of an object that exists ends with."""

from functools import wraps
from typing import Any

import django
from django.db.models import Model, QuerySet, sql

from ...unpatched import unpatched_class
from . import writes
from .keys import Missed
from .paths import plain
from .writes import NULL_IN_TEXT

# What is not called here of the base manager's querysets.
_OF_QUERYSET = "_update", "filter", "db"


class Update(writes.Write):
    """A compiled UPDATE, and how its row is asked for."""

    __slots__ = ("key",)

    def __init__(self, compiler: Any, text: str, kept: Any, key: writes.Key) -> None:
        super().__init__(compiler, text, kept, kept)
        self.key = key
        self._watches += key.watches

    def send(self, wrapper: Any, filled: writes.Statement) -> Any:
        """Send the statement; return what Django's `_do_update()` does."""
        changed = super().send(wrapper, filled)
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
    if (
        not values
        or returning_fields
        or (instance._meta.select_on_save and not forced_update)
        or base_qs._db != using
        or not plain(base_qs)
        or not unpatched_class(type(base_qs), QuerySet, _OF_QUERYSET).holds()
    ):
        return None
    return writes.run_of(UpdateCall(base_qs, using, pk_val, values))


class UpdateCall(writes.WriteCall):
    """One call of `Model._do_update()`."""

    def __init__(self, base_qs: Any, using: str, pk: Any, values: list[Any]) -> None:
        self.using = using
        self._base_qs = base_qs
        self._pk_val = pk
        self._values = values
        model = base_qs.model
        fields = tuple([id(field) for field, _, _ in self._values])
        nulls = NULL_IN_TEXT and tuple([each is None for _, _, each in self._values])
        self.known = writes.of(model)
        kind: Any = type(self._pk_val)
        self.key = "update", using, kind, fields, nulls

    def compiled(self) -> Update | None:
        fields = [field for field, _, _ in self._values]
        values = [
            (writes.Blank(field), model, writes.blank(value))
            for field, model, value in self._values
        ]
        compiler = self._compiler(values)
        if not writes.can_compile(compiler, fields):
            return None
        text, params = compiler.as_sql()
        nulls = NULL_IN_TEXT and sum(value is None for _, _, value in values)
        if not text.count("%s") == len(params) == len(fields) - nulls + 1:
            return None
        key = writes.Key(compiler.query.where, self._pk_val, compiler)
        return Update(compiler, text, fields, key)

    def params(self, write: Update, wrapper: Any) -> list[Any]:
        if not all(writes.is_plain(value) for _, _, value in self._values):
            raise Missed
        params = [writes.prepared(each, x, wrapper) for each, _, x in self._values]
        if NULL_IN_TEXT:
            if self.key[-1] != tuple([each is None for each in params]):
                raise Missed
            params = [each for each in params if each is not None]
        params.append(write.key.param(self._pk_val, wrapper))
        return params

    def as_sql(self) -> tuple[str, Any]:
        text, params = self._compiler(self._values).as_sql()
        return text, params

    def _compiler(self, values: list[Any]) -> Any:
        query = self._base_qs.filter(pk=self._pk_val).query.chain(sql.UpdateQuery)
        query.add_update_fields(values)
        return query.get_compiler(self.using)
