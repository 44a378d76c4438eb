"""A table of lists and ranges, and any values of its columns."""

import datetime as dt
from typing import Any

from django.contrib.postgres import fields as postgres
from django.db import models
from django.test.utils import isolate_apps
from hypothesis import strategies as st
from psycopg.types.range import Range

from .tables import Isolated

with isolate_apps("tests.testapp"):

    class Containers(Isolated):
        """Columns of lists and ranges that every server has."""

        grid = postgres.ArrayField(
            postgres.ArrayField(models.CharField(max_length=10)), null=True
        )
        prices = postgres.ArrayField(
            models.DecimalField(max_digits=10, decimal_places=2), null=True
        )
        instants = postgres.ArrayField(models.DateTimeField(), null=True)
        keys = postgres.ArrayField(models.UUIDField(), null=True)
        spans = postgres.ArrayField(postgres.IntegerRangeField(), null=True)
        span = postgres.IntegerRangeField(null=True)
        large = postgres.BigIntegerRangeField(null=True)
        worth = postgres.DecimalRangeField(null=True)
        during = postgres.DateTimeRangeField(null=True)
        days = postgres.DateRangeField(null=True)

        class Meta(Isolated.Meta):
            abstract = True

    class Container(Containers):
        number = models.IntegerField(null=True)
        ints = postgres.ArrayField(models.IntegerField(null=True), null=True)


NAMES = [each.name for each in Container._meta.fields if each.name != "id"]


def bounds(inside: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def ordered(found: Any) -> Any:
        lower, upper, kinds = found
        if None not in (lower, upper) and upper < lower:
            lower, upper = upper, lower
        return Range(lower, upper, kinds)

    kinds = st.sampled_from(["()", "(]", "[)", "[]"])
    pairs = st.tuples(st.none() | inside, st.none() | inside, kinds)
    return st.just(Range(empty=True)) | pairs.map(ordered)


ints = st.integers(-(2**31), 2**31 - 2)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
prices = st.decimals(-999, 999, places=4, allow_nan=False)
moments = st.datetimes(
    dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30), timezones=st.just(dt.UTC)
)
VALUES = {
    "number": ints,
    "ints": st.lists(st.none() | ints, max_size=4),
    "grid": st.tuples(st.integers(0, 2), st.integers(1, 2)).flatmap(
        lambda size: st.lists(
            st.lists(texts, min_size=size[1], max_size=size[1]),
            min_size=size[0],
            max_size=size[0],
        )
    ),
    "prices": st.lists(prices, max_size=2),
    "instants": st.lists(moments, max_size=2),
    "keys": st.lists(st.uuids(), max_size=2),
    "spans": st.lists(bounds(ints), max_size=2),
    "span": bounds(ints),
    "large": bounds(st.integers(-(2**63), 2**63 - 2)),
    "worth": bounds(st.decimals(-999, 999, places=3, allow_nan=False)),
    "during": bounds(moments),
    "days": bounds(st.dates(max_value=dt.date(9999, 12, 30))),
}
