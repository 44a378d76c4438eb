"""Django's fields that hand a value of one class on as it is, to whoever saves it.

Not their subclasses, which may do more. Datetimes have to know their time zone.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from django.db import models


class PlainField(NamedTuple):
    """The class of such values, and the type of the column without its parameters."""

    kind: type[Any]
    column: str


PLAIN_FIELDS: dict[type, PlainField] = {
    field: PlainField(kind, column)
    for field, kind, column in (
        (models.AutoField, int, "integer"),
        (models.BigAutoField, int, "bigint"),
        (models.BigIntegerField, int, "bigint"),
        (models.BinaryField, bytes, "bytea"),
        (models.BooleanField, bool, "boolean"),
        (models.CharField, str, "varchar"),
        (models.DateField, dt.date, "date"),
        (models.DateTimeField, dt.datetime, "timestamp with time zone"),
        (models.DecimalField, Decimal, "numeric"),
        (models.DurationField, dt.timedelta, "interval"),
        (models.EmailField, str, "varchar"),
        (models.FloatField, float, "double precision"),
        (models.IntegerField, int, "integer"),
        (models.PositiveBigIntegerField, int, "bigint"),
        (models.PositiveIntegerField, int, "integer"),
        (models.PositiveSmallIntegerField, int, "smallint"),
        (models.SlugField, str, "varchar"),
        (models.SmallAutoField, int, "smallint"),
        (models.SmallIntegerField, int, "smallint"),
        (models.TextField, str, "text"),
        (models.TimeField, dt.time, "time"),
        (models.URLField, str, "varchar"),
        (models.UUIDField, UUID, "uuid"),
    )
}
# Those that hand on what the field does that they point to.
KEYS = models.ForeignKey, models.OneToOneField


def kind_of(field: Any) -> type[Any] | None:
    """Return the class of values that a field hands on, None where it may do more."""
    found = PLAIN_FIELDS.get(type(field))
    return None if found is None else found.kind
