"""Geometries, which Django takes as hexadecimal digits."""

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.test.utils import isolate_apps
from psycopg import pq

from django_async_fast import explain_plan, new_connection
from tools.postgres import database, django_database

from .conftest import connect
from .reading import reads
from .test_fields import djangos_rows, fetched, table

__all__ = ["fetched"]

try:
    from django.contrib.gis.db import models
    from django.contrib.gis.db.models.functions import Area, AsGeoJSON, Centroid
    from django.contrib.gis.geos import Point, Polygon
except ImproperlyConfigured as missing:
    pytest.skip(f"no GDAL or GEOS: {missing}", allow_module_level=True)

pytestmark = pytest.mark.keep_rows

with isolate_apps("tests.testapp"):

    class Place(models.Model):
        spot = models.PointField(null=True)
        area = models.PolygonField(null=True, srid=3857)
        globe = models.PointField(geography=True, null=True)
        name = models.CharField(max_length=10, default="")

        class Meta:
            app_label = "testapp"


@pytest.fixture(scope="module")
def alias(system_dsn: str) -> Iterator[str]:
    with database(system_dsn, "django_async_fast_gis") as dsn:
        try:
            with connect(dsn) as connection:
                connection.execute("CREATE EXTENSION postgis")
        except psycopg.errors.FeatureNotSupported:
            pytest.skip("the system's PostgreSQL has no PostGIS")
        engine = "django.contrib.gis.db.backends.postgis"
        defaults = connections["default"].settings_dict
        wanted = {**django_database(dsn), "ENGINE": engine}
        connections.settings["gis"] = {**defaults, **wanted}
        yield "gis"
        connections["gis"].close()
        del connections["gis"]
        del connections.settings["gis"]


@pytest.fixture
def places(alias: str) -> Iterator[Any]:
    with table(alias, Place) as found:
        found.create()
        found.create(
            spot=Point(1, 2.5), globe=Point(3, 4), name="é",
            area=Polygon(((0, 0), (0, 1), (1, 1), (0, 0)), srid=3857),
        )  # fmt: skip
        yield found


def told(rows: Any) -> list[Any]:
    def one(value: Any) -> Any:
        return (type(value), getattr(value, "ewkb", value))

    return [[one(value) for value in row] for row in rows]


async def in_a_block(queryset: Any) -> list[Any]:
    async with new_connection(using=queryset.db):
        return [row async for row in queryset.aiterator(2)]


def test_geometries(places: Any, fetched: list[Any]) -> None:
    queryset = places.values_list("spot", "area", "globe", "name")
    with djangos_rows():
        expected = told(queryset)
    assert expected[1][0][0] is Point
    assert told(queryset) == expected
    assert told(asyncio.run(in_a_block(queryset))) == expected
    assert set(fetched) == {pq.Format.BINARY}
    place = places.get(name="é")
    assert (place.spot.x, place.spot.srid, place.area.area) == (1.0, 4326, 0.5)
    assert explain_plan(places).binary


def test_expressions(places: Any, fetched: list[Any]) -> None:
    queryset = places.annotate(
        middle=Centroid("area"), size=Area("area"), text=AsGeoJSON("spot")
    ).values_list("middle", "size", "text")
    with djangos_rows():
        expected = [(str(a), b and b.sq_m, c) for a, b, c in queryset]
    assert [(str(a), b and b.sq_m, c) for a, b, c in queryset.all()] == expected
    assert set(fetched) == {pq.Format.BINARY}


def test_extents_have_no_binary_form(places: Any, fetched: list[Any]) -> None:
    found = places.order_by().aggregate(models.Extent("area"))
    assert found == {"area__extent": (0.0, 0.0, 1.0, 1.0)}
    queryset = places.annotate(extent=models.Extent("area")).values_list("extent")
    assert list(queryset) == [(None,), ((0.0, 0.0, 1.0, 1.0),)]
    assert set(fetched) == {pq.Format.TEXT}


def test_arrays_and_nulls(alias: str) -> None:
    with connections[alias].cursor() as cursor:
        session = cursor.connection
        for type_ in ("geometry", "geography"):
            point = "'SRID=4326;POINT(1 2)'"
            query = f"SELECT {point}::{type_}, NULL::{type_}, ARRAY[{point}, NULL]::{type_}[]"
            (row,) = reads(session, query)
            assert row[2] == [row[0], None]
