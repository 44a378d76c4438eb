"""What Django makes of a plain value in `field=value`, without asking it each time.

Its own fields and lookups look at an int, a str or a UUID in half a dozen places, and
hand it on as it is or wrapped for psycopg. What they made of the first value is what
they would make of the next.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import models
from django.db.backends.postgresql.operations import DatabaseOperations

from ...unpatched import Unpatched

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


# Their right side is the value alone.
_LOOKUPS = frozenset({"exact", "gt", "gte", "lt", "lte"})


def like(lookup: Any, value: Any, wrapper: Any) -> Prepared | None:
    """Return how `value` becomes the parameter of `lookup`, None for Django's way."""
    field = lookup.lhs.target
    if (
        type(value) not in _FIELDS
        or lookup.lhs.output_field is not field
        or lookup.lookup_name not in _LOOKUPS
    ):
        return None
    try:
        sql, params = lookup.process_rhs(None, wrapper)
    except (EmptyResultSet, FullResultSet):
        return None
    if sql != "%s":
        return None
    return Prepared.like(field, type(lookup), value, params, wrapper)


class Prepared:
    """How a value of one class becomes the parameter of one lookup."""

    __slots__ = ("_field", "_high", "_low", "_unpatched", "_wrap")

    def __init__(
        self, field: Any, lookup: type[Any], ops: type[Any], wrap: Any, limits: Any
    ) -> None:
        self._field = vars(field)
        self._unpatched = Unpatched(
            (type(field), type(field), _OF_FIELD),
            (lookup, lookup, _OF_LOOKUP),
            (ops, DatabaseOperations, _OF_OPS),
        )
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
        if not self._unpatched.holds() or not self._field.keys().isdisjoint(_OF_FIELD):
            return None
        if self._low is not None and not self._low <= value <= self._high:
            return None
        return value if self._wrap is None else self._wrap(value)
