"""The row of one table that `save()` ends with: `Model._save_table()` in one step.

In: an instance, the model of the table, how it is saved. Out: whether a row was there.
Next: the statements of `inserts` and `updates`, whose parameters are taken from the
instance here, without the lists that Django makes of its fields for each.

Key: in the `_meta` of the instance's class, with the other writes of it (`writes`).
"""

from asyncio import _get_running_loop
from functools import wraps
from inspect import getattr_static
from typing import Any

import django
from django.db import DatabaseError, connections, models
from django.db.models import F, Manager, Model, QuerySet
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.query_utils import DeferredAttribute

from ... import _native
from ...unpatched import Unpatched, is_like, unpatched_class
from . import inserts, saved_values, updates, verify, writes
from .keys import Missed
from .paths import STEPS
from .writes import NULL_IN_TEXT

# What is not called here, of the instance, its fields, managers and querysets.
_OF_MODEL = (
    *("_do_insert", "_do_update", "_is_pk_set", "_get_pk_val", "_set_pk_val", "pk"),
    *("_assign_returned_values", "__getattribute__"),
)
_OF_MANAGER = "get_queryset", "_insert", "using"
_OF_QUERYSET = "_insert", "_update", "_chain", "_clone", "db", "filter", "using"
_ATTRIBUTES = frozenset({DeferredAttribute, ForeignKeyDeferredAttribute})
# Of these an instance may have its own.
_OF_INSTANCE = (
    *("_do_insert", "_do_update", "_is_pk_set", "_get_pk_val", "_set_pk_val"),
    "_assign_returned_values",
)
_PRE_SAVE = ("pre_save",)
_OF_KEY = "get_pk_value_on_save", "get_default"
# Fields whose `pre_save()` may put another value into the instance.
_STAMPS = models.DateTimeField, models.DateField, models.TimeField
# How often Django calls it for an INSERT.
_CALLS = 2 if django.VERSION >= (6,) else 1
_MISSING = F("")  # as an attribute that is deferred: Django's

_managers = Unpatched(
    (Manager, Manager, ("get_queryset",)),
    (QuerySet, QuerySet, _OF_QUERYSET),
    *((each, each) for each in _ATTRIBUTES),
)


def _own_pre_save(field: Any) -> Unpatched:
    """Tell whether a field gives what the instance has, but for stamps."""
    base = next((each for each in _STAMPS if isinstance(field, each)), models.Field)
    return unpatched_class(type(field), base, _PRE_SAVE)


class _Plain:
    """Whether what a class has by some names is what an instance has in its dict."""

    def __init__(self, kind: Any, names: list[str]) -> None:
        self._kind = kind
        self._names = names
        self.watch: Any = _native.rows.ClassWatch(
            kind, asked=self._ask, names=((*_OF_MODEL, *names),)
        )

    def _ask(self) -> bool:
        self.watch.look()
        return is_like(self._kind, Model, _OF_MODEL) and all(
            type(getattr_static(self._kind, name, None)) in _ATTRIBUTES
            for name in self._names
        )


class Row:
    """How a table's columns are taken from an instance, and the statement for them."""

    def __init__(
        self, kind: Any, model: Any, fields: list[Any], wrapper: Any, inserts: bool
    ) -> None:
        self._meta = model._meta
        self._manager = model._base_manager
        self._columns: list[Any] = []
        # Fields with a `pre_save()` to be called while they stamp: code that keeps old
        # dates has them stop for a while.
        self._may_stamp = [each for each in fields if isinstance(each, _STAMPS)]
        names = [each.attname for each in fields]
        unpatched = {_managers}
        for field in fields:
            unpatched.add(_own_pre_save(field))
            kinds, needs = saved_values.saved(field, wrapper)
            self._columns.append((field.attname, kinds, field))
            unpatched.update(needs)
        if inserts and self._meta.pk not in fields:
            # Without a default it makes no values of its own.
            unpatched.add(unpatched_class(type(self._meta.pk), models.Field, _OF_KEY))
        self._watches = (_Plain(kind, names).watch, *(each.watch for each in unpatched))
        # The statement, and its key among those of `inserts` and `updates`.
        self.write: Any = None
        self.key: Any = None
        self.inserts = inserts
        self.used = STEPS.clock

    def holds(self, wrapper: Any) -> bool:
        """Tell whether Django would save such instances as it did."""
        return (
            _native.rows.all_hold(self._watches)
            and self._manager._queryset_class is QuerySet
            and self._manager.__dict__.keys().isdisjoint(_OF_MANAGER)
            and bool(self.write.holds(wrapper))
        )

    def send(self, wrapper: Any, filled: writes.Statement) -> Any:
        """Send the statement; return what its write does."""
        return self.write.send(wrapper, filled)

    def statement(self, instance: Any, pk: Any, wrapper: Any) -> writes.Statement:
        """Return what is to be sent for an instance. Raises Missed."""
        params, found = self.params(instance, wrapper), self.write
        if not self.inserts:
            if NULL_IN_TEXT:
                nulls = tuple([each is None for each in params])
                known = writes.of(self._meta.model)
                found = known.get((*self.key[:-1], nulls)) or self._learn(params, pk)
                if found is None:
                    raise Missed
                params = [each for each in params if each is not None]
            params.append(found.key.param(pk, wrapper))
        return found.sql, params, found.template

    def _learn(self, params: list[Any], pk: Any) -> Any:
        """Return the statement with NULL in the place of each None."""
        _, using, *_ = self.key
        fields = [field for _, _, field in self._columns]
        values = [(each, None, x) for each, x in zip(fields, params, strict=True)]
        rows = self._manager.using(using)
        return updates.UpdateCall(rows, using, pk, values).learn()

    def params(self, instance: Any, wrapper: Any) -> list[Any]:
        """Return the columns' parameters. Raises Missed."""
        values = instance.__dict__
        if not values.keys().isdisjoint(_OF_INSTANCE):
            raise Missed
        stamps = self._may_stamp and [
            each for each in self._may_stamp if each.auto_now or each.auto_now_add
        ]
        if stamps:
            self._look(values)
            for field in stamps * (_CALLS if self.inserts else 1):
                field.pre_save(instance, self.inserts)
        params: list[Any] | None = _native.rows.saved_values(values, self._columns)
        if params is None:
            self._look(values)
            params = [
                _param(values[attname], kinds, field, wrapper)
                for attname, kinds, field in self._columns
            ]
        return params

    def _look(self, values: dict[str, Any]) -> None:
        """Raise Missed if Django is to ask for one of the values, or compiles it."""
        for attname, *_ in self._columns:
            if not writes.is_plain(values.get(attname, _MISSING)):
                raise Missed


def _param(value: Any, kinds: dict[type, Any], field: Any, wrapper: Any) -> Any:
    try:
        wrap = kinds[type(value)]
        return value if wrap is None else wrap(value)
    except KeyError:
        return writes.prepared(field, value, wrapper)


@wraps(Model._save_table)
def save_table(
    self: Any,
    /,
    raw: bool = False,
    cls: Any = None,
    force_insert: Any = False,
    force_update: bool = False,
    using: str | None = None,
    update_fields: Any = None,
) -> Any:
    if (
        raw
        or cls is None
        or using is None
        or not (update_fields is None or type(update_fields) is frozenset)
    ):
        return save_table.__wrapped__(
            self, raw, cls, force_insert, force_update, using, update_fields
        )
    how = bool(force_insert), bool(force_update), update_fields
    pk = self.__dict__.get(cls._meta.pk.attname)
    known = writes.of(type(self))
    key = "row", cls, using, type(pk), self._state.adding, how
    row = known.get(key)
    if type(row) is not Row or verify.ON or _get_running_loop() is not None:
        call = SaveCall(self, cls, using, how, known, key, pk)
        run = writes.run_of(call)
        if run is not None:
            return _saved(self, cls, using, how, call.inserts, run())
    else:
        # As `writes.run_of()` does, for rows like one before.
        wrapper = connections[using]
        if row.holds(wrapper):
            try:
                filled = row.statement(self, pk, wrapper)
            except Missed:
                filled = None
            if filled is not None:
                row.used = STEPS.clock
                found = row.write.send(wrapper, filled)
                return _saved(self, cls, using, how, row.inserts, found)
    return save_table.__wrapped__(
        self, raw, cls, force_insert, force_update, using, update_fields
    )


def _saved(
    instance: Any, model: Any, using: str, how: Any, inserts: bool, found: Any
) -> bool:
    """Do with what a write has returned as Django; return whether a row was updated."""
    if inserts:
        if found:
            fields = model._meta.db_returning_fields
            for field, value in zip(fields, found[0], strict=True):
                setattr(instance, field.attname, value)
        return False
    if found:
        return True
    _, force_update, names = how
    if force_update or names:
        error = getattr(instance, "NotUpdated", DatabaseError)  # Django 6.0
        what = "Forced update" if force_update else "Save with update_fields"
        raise error(f"{what} did not affect any rows.")
    done: bool = save_table(instance, False, model, True, False, using, None)
    return done


class SaveCall(writes.WriteCall):
    """One call of `Model._save_table()`."""

    def __init__(
        self,
        instance: Any,
        model: Any,
        using: str,
        how: Any,
        known: Any,
        key: Any,
        pk: Any,
    ) -> None:
        self.using = using
        self.known = known
        self.key = key
        self._instance = instance
        self._model = model
        self._how = how
        self._pk = pk
        force_insert, force_update, _ = how
        self.inserts = bool(
            pk is None
            or force_insert
            or (
                not force_update
                and instance._state.adding
                and _has_default(model._meta.pk)
            )
        )

    def compiled(self) -> Row | None:
        meta, inserts = self._model._meta, self.inserts
        if (
            len(meta.pk_fields) != 1
            or type(self._model._base_manager) is not Manager
            or connections[self.using].vendor != "postgresql"
            or not (self._may_insert(meta) if inserts else self._may_update(meta))
        ):
            return None
        fields = self._fields()
        if not fields or any("pre_save" in vars(each) for each in fields):
            return None
        wrapper = connections[self.using]
        row = Row(type(self._instance), self._model, fields, wrapper, inserts)
        inner = self._inner(fields)
        if inner.key not in inner.known:
            inner.learn()
        row.key = inner.key
        row.write = inner.known.get(inner.key, _MISSING)
        if row.write is _MISSING:
            raise Missed
        if row.write is None or not row.holds(wrapper):
            return None
        return row

    def _may_insert(self, meta: Any) -> bool:
        _, force_update, names = self._how
        if meta.order_with_respect_to:
            return False
        return self._pk is not None or not (
            meta.pk is not meta.auto_field
            or _has_default(meta.pk)
            or not vars(meta.pk).keys().isdisjoint(_OF_KEY)
            or force_update
            or names
        )

    def _may_update(self, meta: Any) -> bool:
        _, force_update, names = self._how
        return not (
            (self._instance._meta.select_on_save and not (force_update or names))
            or any(each.generated for each in meta.local_concrete_fields)
        )

    def _fields(self) -> list[Any]:
        meta, names = self._model._meta, self._how[2]
        if self.inserts:
            return [
                each
                for each in meta.local_concrete_fields
                if not each.generated
                and (self._pk is not None or each is not meta.auto_field)
            ]
        return [
            each
            for each in meta.local_concrete_fields
            if each is not meta.pk
            and (names is None or each.name in names or each.attname in names)
        ]

    def _inner(self, fields: list[Any]) -> writes.WriteCall:
        """Return the call of the write that Django's own `_save_table()` ends with."""
        manager, using = self._model._base_manager, self.using
        # `pre_save()` has been called, or nobody asks for them yet.
        values = [self._instance.__dict__.get(each.attname) for each in fields]
        if self.inserts:
            returning = self._model._meta.db_returning_fields
            call = inserts.InsertCall(
                manager, self._instance, fields, returning, False, using, None
            )
            call.values = dict(zip(map(id, fields), values, strict=True))
            return call
        found = [
            (each, None, value) for each, value in zip(fields, values, strict=True)
        ]
        return updates.UpdateCall(manager.using(using), using, self._pk, found)

    def statement(self, write: Row, wrapper: Any) -> writes.Statement:
        return write.statement(self._instance, self._pk, wrapper)

    def as_sql(self) -> tuple[str, Any]:
        return self._inner(self._fields()).as_sql()


def _has_default(field: Any) -> bool:
    return field.has_default() or field.has_db_default()
