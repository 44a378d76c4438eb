"""Django's fields that hand a value of one class on as it is, to whoever saves it.

Not their subclasses, which may do more. Datetimes have to know their time zone.
"""

import datetime as dt
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from django.db import models


class PlainField(NamedTuple):
    """The class of such values, and the type of the column without its parameters."""

    kind: type[Any]
    column: str


_SMALL = (
    *(models.SmallAutoField, models.SmallIntegerField),
    models.PositiveSmallIntegerField,
)
_INTEGERS = models.AutoField, models.IntegerField, models.PositiveIntegerField
_BIG = (*(models.BigAutoField, models.BigIntegerField), models.PositiveBigIntegerField)
_TEXTS = models.CharField, models.EmailField, models.SlugField, models.URLField

PLAIN_FIELDS: dict[type, PlainField] = {
    **dict.fromkeys(_SMALL, PlainField(int, "smallint")),
    **dict.fromkeys(_INTEGERS, PlainField(int, "integer")),
    **dict.fromkeys(_BIG, PlainField(int, "bigint")),
    **dict.fromkeys(_TEXTS, PlainField(str, "varchar")),
    models.BinaryField: PlainField(bytes, "bytea"),
    models.BooleanField: PlainField(bool, "boolean"),
    models.DateField: PlainField(dt.date, "date"),
    models.DateTimeField: PlainField(dt.datetime, "timestamp with time zone"),
    models.DecimalField: PlainField(Decimal, "numeric"),
    models.DurationField: PlainField(dt.timedelta, "interval"),
    models.FloatField: PlainField(float, "double precision"),
    models.TextField: PlainField(str, "text"),
    models.TimeField: PlainField(dt.time, "time"),
    models.UUIDField: PlainField(UUID, "uuid"),
}
# Those that hand on what the field does that they point to.
KEYS = models.ForeignKey, models.OneToOneField


def kind_of(field: Any) -> type[Any] | None:
    """Return the class of values that a field hands on, None where it may do more."""
    found = PLAIN_FIELDS.get(type(field))
    return None if found is None else found.kind
