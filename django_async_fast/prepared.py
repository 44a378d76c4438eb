"""What Django makes of a plain value in `field=value`, without asking it each time.

Its own fields and lookups look at an int, a str or a UUID in half a dozen places, and
hand it on as it is or wrapped for psycopg. What they made of the first value is what
they would make of the next.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import models

from . import _native

_TEXTS = (
    *(models.CharField, models.EmailField, models.SlugField, models.TextField),
    models.URLField,
)
_INTEGERS = (
    *(models.AutoField, models.BigAutoField, models.SmallAutoField),
    *(models.IntegerField, models.BigIntegerField, models.SmallIntegerField),
    *(models.PositiveIntegerField, models.PositiveBigIntegerField),
    models.PositiveSmallIntegerField,
)
# The fields, not their subclasses, that hand a value of this class on.
_FIELDS: dict[type, tuple[Any, ...]] = {
    int: _INTEGERS,
    str: _TEXTS,
    UUID: (models.UUIDField,),
}

# What is not called here, of a field, a lookup and the backend.
_OF_FIELD = "get_prep_value", "get_db_prep_value", "get_internal_type", "to_python"
_OF_LOOKUP = (
    *("__init__", "get_prep_lookup", "get_db_prep_lookup", "process_rhs"),
    "get_prep_lhs",
)
_OF_OPS = "adapt_integerfield_value", "integer_field_range", "validate_autopk_value"


class Prepared:
    """How a value of one class becomes the parameter of one lookup."""

    __slots__ = ("_classes", "_field", "_high", "_low", "_steps", "_watch", "_wrap")

    def __init__(
        self, field: Any, lookup: type[Any], ops: type[Any], wrap: Any, limits: Any
    ) -> None:
        self._field = vars(field)
        self._classes = type(field), lookup, ops
        self._steps = _steps(*self._classes)
        self._watch = _native.rows.ClassWatch(*self._classes)
        self._watch.look()
        # psycopg's class for numbers of a size, or None.
        self._wrap = wrap
        # Beyond these Django finds nothing without asking the database.
        self._low, self._high = limits

    @classmethod
    def like(
        cls, field: Any, lookup: Any, value: Any, params: Any, wrapper: Any
    ) -> Prepared | None:
        """Return how `value` became `params`, None where Django is to be asked."""
        kind, limits = type(value), (None, None)
        if type(field) not in _FIELDS[kind] or len(params) != 1:
            return None
        param = params[0]
        if not isinstance(param, kind) or param != value:
            return None
        if kind is int:
            limits = wrapper.ops.integer_field_range(field.get_internal_type())
        wrap = None if type(param) is kind else type(param)
        return cls(field, lookup, type(wrapper.ops), wrap, limits)

    def param(self, value: Any) -> Any:
        """Return the parameter for `value`, None where Django is to be asked."""
        if not self._is_as_before():
            return None
        if self._low is not None and not self._low <= value <= self._high:
            return None
        return value if self._wrap is None else self._wrap(value)

    def _is_as_before(self) -> bool:
        """Tell whether the steps that are left out are still those of the first."""
        if not self._field.keys().isdisjoint(_OF_FIELD):
            return False
        if self._watch.unchanged():
            return True
        if _steps(*self._classes) != self._steps:
            return False
        self._watch.look()
        return True


def _steps(field: type[Any], lookup: type[Any], ops: type[Any]) -> list[Any]:
    """Return the code of each step: they call those of the classes they inherit."""
    return [
        vars(each).get(name)
        for kind, names in ((field, _OF_FIELD), (lookup, _OF_LOOKUP), (ops, _OF_OPS))
        for each in kind.__mro__
        for name in names
    ]
