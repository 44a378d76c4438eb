"""Models that hypothesis makes, with rows for them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from django.apps.registry import Apps
from django.db import models
from hypothesis import strategies as st

from .strategies import text

moments = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1))
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text


class Kind(NamedTuple):
    make: Callable[..., models.Field[Any, Any]]
    values: st.SearchStrategy[Any]


def kind(
    values: st.SearchStrategy[Any], field: type[models.Field[Any, Any]], **options: Any
) -> Kind:
    return Kind(lambda **more: field(**options, **more), values)


KINDS = {
    "binary": kind(st.binary(max_size=9), models.BinaryField),
    "boolean": kind(st.booleans(), models.BooleanField),
    "char": kind(text, models.CharField, max_length=50),
    "date": kind(st.dates(), models.DateField),
    "datetime": kind(moments.map(lambda m: m.replace(tzinfo=dt.UTC)), models.DateTimeField),
    "decimal": kind(
        st.decimals(Decimal(-(10**6)), Decimal(10**6), places=3),
        models.DecimalField, max_digits=10, decimal_places=3,
    ),
    "duration": kind(st.timedeltas(dt.timedelta(-9999), dt.timedelta(9999)), models.DurationField),
    "float": kind(st.floats(allow_nan=False, allow_infinity=False), models.FloatField),
    "inet": kind(st.ip_addresses().map(str), models.GenericIPAddressField),
    "integer": kind(st.integers(-(2**31), 2**31 - 1), models.IntegerField),
    "json": kind(st.lists(scalars, max_size=3) | scalars, models.JSONField),
    "small": kind(st.integers(-(2**15), 2**15 - 1), models.SmallIntegerField),
    "text": kind(text, models.TextField),
    "time": kind(st.times(), models.TimeField),
    "uuid": kind(st.uuids(), models.UUIDField),
}  # fmt: skip
# What has an order, and a greatest value in SQL.
ORDERED = sorted(set(KINDS) - {"binary", "boolean", "json", "uuid"})

KEYS: dict[str, Callable[[], dict[str, Any]]] = {
    "auto": dict,
    "char": lambda: {"key": models.CharField(max_length=9, primary_key=True)},
    "composite": lambda: {
        "pk": models.CompositePrimaryKey("left", "right"),
        "left": models.IntegerField(),
        "right": models.UUIDField(),
    },
    "uuid": lambda: {"key": models.UUIDField(primary_key=True)},
}


def key_values(key: str, number: int) -> dict[str, Any]:
    """Return the `number`th key, as arguments of the model."""
    return {
        "auto": {"id": number},
        "char": {"key": f"k{number}"},
        "composite": {"left": number % 2, "right": uuid.UUID(int=number)},
        "uuid": {"key": uuid.UUID(int=number)},
    }[key]


class Generated(NamedTuple):
    """A model, the rows in its table, and one more."""

    model: type[models.Model]
    key: str
    ordered: str
    rows: list[dict[str, Any]]
    new: dict[str, Any]

    def __repr__(self) -> str:
        fields = [str(field) for field in self.model._meta.get_fields()]
        return f"Generated(key={self.key}, {fields}, rows={self.rows}, new={self.new})"

    def objects(self) -> list[models.Model]:
        return [self.model(**row) for row in self.rows]


def make_model(key: str, kinds: list[str]) -> type[models.Model]:
    fields = {f"{name}_": KINDS[name].make(null=True) for name in kinds}
    meta = type("Meta", (), {"app_label": "testapp", "apps": Apps()})
    body = {"__module__": __name__, "Meta": meta, **KEYS[key](), **fields}
    return type("Made", (models.Model,), body)


@st.composite
def generated(draw: st.DrawFn) -> Generated:
    key = draw(st.sampled_from(sorted(KEYS)))
    ordered = draw(st.sampled_from(ORDERED))
    others = draw(
        st.lists(
            st.sampled_from(sorted(set(KINDS) - {ordered})), unique=True, max_size=6
        )
    )
    kinds = [ordered, *others]
    row = st.fixed_dictionaries({f"{n}_": st.none() | KINDS[n].values for n in kinds})
    rows = draw(st.lists(row, min_size=1, max_size=5))
    return Generated(
        make_model(key, kinds),
        key,
        f"{ordered}_",
        [key_values(key, i) | values for i, values in enumerate(rows, 1)],
        key_values(key, 99) | draw(row),
    )
