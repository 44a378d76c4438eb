"""What of a call's arguments decides about the SQL, and what is only a value in it.

Conditions, names and options are looked at in `native/paths.pxi`.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Avg, Count, Max, Min, Sum

# Of these only the class is part of a key.
PLAIN = frozenset(
    {int, str, float, Decimal, date, datetime, time, timedelta, UUID, bytes}
)
_AGGREGATES = frozenset({Avg, Count, Max, Min, Sum})

# (name, value) in the order in which Django builds their conditions.
Items = list[tuple[str, Any]]


class Refused(Exception):
    """This is Django's to do, every time; the message is the reason, for people."""


class Missed(Exception):
    """This value's SQL has another shape: Django's way, this time."""


def of_aggregates(kind: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the key of `annotate()` by Django's aggregates of columns.

    Raises Refused.
    """
    found: list[Any] = [kind]
    for name, each in (*((None, each) for each in args), *kwargs.items()):
        if type(each) not in _AGGREGATES:
            raise Refused(f"{kind}() is given a {type(each).__name__}")
        sources, options = each._constructor_args
        if not all(type(source) is str for source in sources):
            raise Refused(f"{kind}() is given an expression of another")
        if not all(type(option) is bool for option in options.values()):
            raise Refused(f"{kind}() is given an aggregate with options")
        found.append((name, type(each), sources, tuple(options.items())))
    return tuple(found)
