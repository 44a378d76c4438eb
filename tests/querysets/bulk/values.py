"""Values of every type that Django inserts by UNNEST: the columns of Wide."""

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db import models
from hypothesis import strategies as st

from tests.testapp import models as testapp

# Whose rows are compared after a write.
MODELS = (
    *(testapp.Author, testapp.Book, testapp.CharKey, testapp.Everything, testapp.Note),
    *(testapp.Novel, testapp.Tag, testapp.Unique, testapp.UuidKey, testapp.Wide),
)

NOON = dt.datetime(2001, 2, 3, 12, tzinfo=dt.UTC)
VIENNA = ZoneInfo("Europe/Vienna")


class Colour(models.TextChoices):
    RED = "red"


class Size(models.IntegerChoices):
    BIG = 5


class Str(str):
    __slots__ = ()


FULL: dict[str, Any] = {
    "small": -1, "integer": -2, "big": -(2**62), "positive": 3, "char": "c'\\%s é",
    "text": "%", "slug": "s", "email": "e@example.org", "url": "u", "boolean": True,
    "decimal": Decimal("-1.50"), "float": 0.1, "datetime": NOON, "date": NOON.date(),
    "time": dt.time(1, 2, 3, 4), "duration": dt.timedelta(days=-1, microseconds=3),
    "uuid": uuid.UUID(int=3), "json": {"a": [1, None, "\u20ac"]}, "inet": "::1",
    "file": "f",
}  # fmt: skip


odd = st.fixed_dictionaries(
    {},
    optional={
        "small": st.integers(-(2**15) - 1, 2**15) | st.booleans() | st.just("5"),
        "char": st.text(max_size=5) | st.just(Colour.RED) | st.integers(0, 9),
        "boolean": st.booleans() | st.sampled_from([0, 1, "t"]),
        "decimal": st.decimals(-10, 10) | st.integers(0, 9) | st.floats(-1, 1),
        "float": st.floats() | st.integers(0, 9),
        "datetime": st.datetimes(timezones=st.sampled_from([None, dt.UTC, VIENNA])),
        "date": st.dates() | st.just("2001-02-03"),
        "time": st.times(),
        "duration": st.timedeltas(dt.timedelta(-999), dt.timedelta(999)),
        "json": st.recursive(
            st.none() | st.integers() | st.text(), st.lists, max_leaves=3
        ),
        "inet": st.ip_addresses().map(str) | st.just(""),
    },
)

odd_keys = st.lists(
    st.integers(-5, 255) | st.sampled_from([None, True, "7", 2**63, 10**20]), max_size=6
)
