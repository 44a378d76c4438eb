"""What Django makes of plain values that are saved, without asking it each time.

As with conditions (`prepared_values`): its own fields hand most values on as they are,
or wrapped for psycopg.
"""

import datetime as dt
from functools import partial
from typing import Any
from uuid import UUID

from django.db.backends.postgresql.operations import DatabaseOperations
from psycopg.types.numeric import Int2, Int4, Int8

from ...unpatched import Unpatched, unpatched_class
from ..plain_fields import KEYS, kind_of
from .prepared_values import OF_FIELD, OF_OPS

_SIZES = Int2, Int4, Int8
# Each is of another class.
_SAMPLES = 1, "x", UUID(int=1), dt.date(2000, 1, 1), 1.5
# Other classes of values that are saved as they are.
_AS_THEY_ARE = bool, dt.time

# What is not called here, of a field and the backend.
OF_SAVED = (*OF_FIELD, "get_db_prep_save", "target_field")
_ADAPTED = "adapt_timefield_value", *OF_OPS


class AskDjango(KeyError):
    """A value that Django is to be asked for."""


def _wrap(kind: Any) -> Any:
    """Return what psycopg's class of numbers of a size makes of one, without a call."""
    return partial(int.__new__, kind) if kind in _SIZES else kind


def _aware(value: Any) -> Any:
    if value.utcoffset() is None:
        raise AskDjango  # it warns, and takes the current time zone
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
    handed_on: Any = kind_of(target)
    for sample in _SAMPLES:
        kind: Any = type(sample)
        if handed_on is kind:
            param = field.get_db_prep_save(sample, wrapper)
            if isinstance(param, kind) and param == sample:
                kinds[kind] = None if type(param) is kind else _wrap(type(param))
    if handed_on in _AS_THEY_ARE:
        kinds[handed_on] = None
    if handed_on is dt.datetime:
        kinds[dt.datetime] = _aware
    if kinds:
        kinds[type(None)] = None
    needs = [unpatched_class(type(each), type(each), OF_SAVED) for each in passed]
    needs.append(unpatched_class(type(wrapper.ops), DatabaseOperations, _ADAPTED))
    return kinds, needs
