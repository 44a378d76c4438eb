"""What Django makes of plain values that are saved, without asking it each time.

As with conditions (`prepared_values`): its own fields hand most values on as they are,
or wrapped for psycopg.
"""

from __future__ import annotations

import datetime as dt
from functools import cache, partial
from typing import Any
from uuid import UUID

from django.db import models
from django.db.backends.postgresql.operations import DatabaseOperations
from psycopg.types.numeric import Int2, Int4, Int8

from ...unpatched import Unpatched
from .prepared_values import FIELDS, KEYS, OF_FIELD, OF_OPS

_SIZES = Int2, Int4, Int8
# Each is of another class.
_SAMPLES = 1, "x", UUID(int=1), dt.date(2000, 1, 1), 1.5
# The fields, besides FIELDS, that save a value of this class as it is.
_AS_IT_IS: dict[type, Any] = {bool: models.BooleanField, dt.time: models.TimeField}

# What is not called here, of a field and the backend.
OF_SAVED = (*OF_FIELD, "get_db_prep_save", "target_field")
_ADAPTED = (
    *("adapt_datefield_value", "adapt_datetimefield_value", "adapt_timefield_value"),
    *OF_OPS,
)


class Djangos(KeyError):
    """A value that Django is to be asked for."""


def _wrap(kind: Any) -> Any:
    """Return what psycopg's class of numbers of a size makes of one, without a call."""
    return partial(int.__new__, kind) if kind in _SIZES else kind


def _aware(value: Any) -> Any:
    if value.utcoffset() is None:
        raise Djangos  # it warns, and takes the current time zone
    return value


def saved(field: Any, wrapper: Any) -> tuple[dict[type, Any], list[Unpatched]]:
    """Return by class of values what Django calls with one to save, None for nothing.

    And what must hold for that. A value of a class that is not there is Django's; so
    is one with which the call raises KeyError.
    """
    kinds: dict[type, Any] = {}
    target, passed = field, [field]
    while type(target) in KEYS:
        target = target.target_field
        passed.append(target)
    if any(not vars(each).keys().isdisjoint(OF_SAVED) for each in passed):
        return {}, []
    for sample in _SAMPLES:
        kind: Any = type(sample)
        if type(target) in FIELDS[kind]:
            param = field.get_db_prep_save(sample, wrapper)
            if isinstance(param, kind) and param == sample:
                kinds[kind] = None if type(param) is kind else _wrap(type(param))
    for kind, like in _AS_IT_IS.items():
        if type(target) is like:
            kinds[kind] = None
    if type(target) is models.DateTimeField:
        kinds[dt.datetime] = _aware
    if kinds:
        kinds[type(None)] = None
    classes: list[Any] = [type(each) for each in passed]
    ops: Any = type(wrapper.ops)
    return kinds, [*map(_unpatched, classes), _unpatched_ops(ops)]


@cache
def _unpatched(kind: Any) -> Unpatched:
    return Unpatched((kind, kind, OF_SAVED))


@cache
def _unpatched_ops(kind: Any) -> Unpatched:
    return Unpatched((kind, DatabaseOperations, _ADAPTED))
