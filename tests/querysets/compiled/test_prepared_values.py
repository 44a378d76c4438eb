"""Values of a known `get()`: the parameters that Django makes of them."""

from datetime import UTC, date, datetime, timedelta, timezone
from functools import partial
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from django.core.exceptions import EmptyResultSet
from django.db import connection, models
from django.db.models import lookups
from django.db.models.expressions import Col
from django.test.utils import register_lookup
from psycopg import sql

from django_async_fast.querysets.compiled import prepared_values
from django_async_fast.querysets.plain_fields import PLAIN_FIELDS
from tests.testapp.models import Everything

from .test_known_gets import all_of, djangos_get

pytestmark = pytest.mark.core

UUIDS = [UUID(int=1), UUID(int=2**128 - 1)]
TEXTS = ["a", "", "o'neill \\ 50% %s é", "\N{SNOWMAN}" * 300]


def around_the_limits(field: Any) -> list[int]:
    """Return the least and the greatest number, those next to them, and some between."""
    ends = connection.ops.integer_field_range(field.get_internal_type())
    return [0, 7, *(end + step for end in ends for step in (-1, 0, 1))]


def values(field: Any) -> list[Any]:
    if isinstance(field, models.UUIDField):
        return UUIDS
    if isinstance(field, models.FloatField):
        return [0.5, -1e300, float("inf"), 0.0]
    if isinstance(field, models.DateTimeField):
        east = timezone(timedelta(hours=5, minutes=30))
        return [datetime(2026, 11, 28, 7, tzinfo=UTC), datetime(1, 1, 2, tzinfo=east)]
    if isinstance(field, models.DateField):
        return [date(1, 1, 1), date(2026, 11, 28), date.max]
    return TEXTS if isinstance(field, models.CharField | models.TextField) else []


def django(field: Any, value: Any) -> Any:
    """Return the parameter that Django sends for `value`, None if it asks nothing."""
    lookup = field.get_lookup("exact")(Col("t", field), value)
    try:
        (param,) = lookup.process_rhs(None, connection)[1]
    except EmptyResultSet:
        return None
    return param


def like(field: Any, value: Any) -> Any:
    """Return what has been learnt from the first value."""
    params = (django(field, value),)
    lookup = field.get_lookup("exact")
    return prepared_values.like((field,), lookup, [value], params, connection)


def told(param: Any) -> Any:
    """Return class and literal: psycopg writes a small integer's size with it."""
    return type(param), param is None or sql.Literal(param).as_string(None)


FIELDS = [
    field for field, (kind, _) in PLAIN_FIELDS.items() if kind in prepared_values.KINDS
]


@pytest.mark.parametrize("kind", FIELDS, ids=lambda each: each.__name__)
def test_the_parameter_is_djangos(kind: type[Any]) -> None:
    field = kind(primary_key=True)
    candidates = values(field) or around_the_limits(field)
    known = like(field, candidates[0])
    assert [told(known.param(value)) for value in candidates] == [
        told(django(field, value)) for value in candidates
    ]


def test_a_datetime_without_a_time_zone_is_djangos() -> None:
    aware, naive = datetime(2026, 11, 28, tzinfo=UTC), datetime(2026, 11, 28)
    assert like(models.DateTimeField(), aware).param(naive) is None
    for moment in (aware, aware + timedelta(1)):
        list(Everything.objects.filter(datetime=moment))
    with pytest.warns(RuntimeWarning, match="received a naive datetime"):
        list(Everything.objects.filter(datetime=naive))


@pytest.mark.parametrize("name", ["small", "integer", "big", "positive"])
def test_the_statement_is_djangos(name: str) -> None:
    field: Any = Everything._meta.get_field(name)
    greatest = around_the_limits(field)[-2]
    Everything.objects.create(**{name: greatest})
    for value in (5, greatest, *around_the_limits(field)):
        get = partial(Everything.objects.get, **{name: value})
        with djangos_get():
            expected = all_of(get)
        assert all_of(get) == expected


def test_a_field_of_ones_own_is_asked() -> None:
    class Even(models.IntegerField):
        def get_prep_value(self, value: Any) -> Any:
            return super().get_prep_value(value) // 2 * 2

    assert like(Even(), 4) is None


def test_a_value_that_was_changed_teaches_nothing() -> None:
    field = models.CharField()
    with mock.patch.object(models.CharField, "get_prep_value", return_value="b"):
        assert like(field, "a") is None


IntegerOps: Any = type(connection.ops)
PATCHED: dict[str, Any] = {
    "the field's class": (models.IntegerField, "get_prep_value"),
    "what it inherits": (models.Field, "get_prep_value"),
    "for the database": (models.Field, "get_db_prep_value"),
    "its kind": (models.Field, "get_internal_type"),
    "the lookup": (lookups.Exact, "get_prep_lookup"),
    "what limits it": (lookups.IntegerFieldOverflow, "process_rhs"),
    "every lookup": (lookups.Lookup, "process_rhs"),
    "its start": (lookups.Lookup, "__init__"),
    "the backend": (IntegerOps, "adapt_integerfield_value"),
    "its limits": (IntegerOps, "integer_field_range"),
}


@pytest.mark.parametrize("name", PATCHED)
def test_a_step_that_somebody_replaces(name: str) -> None:
    known = like(models.IntegerField(), 5)
    assert known.param(6) == 6
    with mock.patch.object(*PATCHED[name]):
        assert known.param(6) is None
    assert known.param(6) == 6


def test_a_step_of_one_field() -> None:
    field = models.IntegerField()
    with mock.patch.object(field, "get_prep_value", lambda value: value):
        assert like(field, 5) is None
    assert like(field, 5).param(6) == 6


@pytest.mark.parametrize("of", ["the field's class", "one field"])
def test_another_lookup_is_asked(of: str) -> None:
    class Next(lookups.Exact):
        def get_prep_lookup(self) -> Any:
            return super().get_prep_lookup() + 1

    def get(value: int) -> Any:
        return Everything.objects.get(small=value).pk

    one: Any = Everything._meta.get_field("small")
    Everything.objects.create(pk=7, small=2)
    assert get(2) == get(2) == 7
    where = one if of == "one field" else type(one)
    with register_lookup(where, Next, lookup_name="exact"):
        assert get(1) == get(1) == 7
    assert get(2) == 7
