"""What of a call's arguments decides about the SQL, and what is only a value in it.

`native/step_keys.pxi` makes the keys of conditions and aggregates.
"""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Avg, Count, Max, Min, Sum

# Of these only the class is part of a key.
PLAIN = frozenset(
    {int, str, float, Decimal, date, datetime, time, timedelta, UUID, bytes}
)
AGGREGATES = frozenset({Avg, Count, Max, Min, Sum})
# What one of them has of its own as it was made, and once it was hashed.
OF_AGGREGATE = frozenset({*vars(Sum("pk")), "identity"})

# (name, value) in the order in which Django builds their conditions.
Items = list[tuple[str, Any]]


class Refused(Exception):
    """This is Django's to do, every time; the message is the reason, for people."""


class Missed(Exception):
    """A value is not plain, or its SQL has another shape: Django's way, this time."""
