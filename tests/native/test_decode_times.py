"""Instants in sessions of any time zone, and times that Python does not have."""

import datetime as dt
import random
from collections.abc import Iterator
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import psycopg
import pytest
from django.db.backends.postgresql.psycopg_any import get_adapters_template
from psycopg import Connection

from tests.support.reading import BINARY, FORMATS

from .decoding import UTC, decoded, fails, reads_all

ZONES = ["UTC", "America/Chicago", "Asia/Kolkata", "Australia/Lord_Howe"]
INSTANTS = [
    *["2024-11-03 06:30+00", "2024-11-03 07:30+00", "2024-03-10 08:00+00"],
    *["2024-10-27 00:30+00", "2024-10-27 01:30+00", "1850-06-01 00:00:00.5+00"],
    *["2024-04-06 15:15+00", "2000-01-01 00:00+00", "2100-07-01 12:00+00"],
]


@pytest.fixture(params=ZONES)
def abroad(dsn: str, request: pytest.FixtureRequest) -> Iterator[tuple[Any, ZoneInfo]]:
    """A function that connects with a setting of Django's, in a session elsewhere."""
    zone = ZoneInfo(request.param)
    connections = []

    def connect(timezone: dt.tzinfo | None) -> psycopg.Connection:
        template = get_adapters_template(timezone is not None, timezone)
        connection = psycopg.connect(dsn, autocommit=True, context=template)
        connections.append(connection)
        connection.execute("SELECT set_config('TimeZone', %s, false)", [zone.key])
        return connection

    yield connect, zone
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("timezone", [UTC, None, ZoneInfo("Europe/Paris"), "session's"])
def test_timestamptz_of_other_sessions(abroad: Any, timezone: Any) -> None:
    connect, zone = abroad
    if timezone == "session's":
        timezone = zone
    connection = connect(timezone)
    options = {"session_timezone": zone, "timezone": timezone}
    rng = random.Random(5)
    first, second = dt.datetime(1, 1, 2), dt.timedelta(seconds=1)
    instants = [
        f"{first + rng.randrange(315_500_000_000) * second}+00" for _ in range(200)
    ]
    rows = reads_all(connection, "timestamptz", INSTANTS + instants, **options)
    assert all(value.tzinfo is timezone for (value,) in rows)
    # Inside of Python's years here, outside of them in UTC.
    edges = ["0001-01-01", "0001-01-01 03:00", "9999-12-31 23:59:59.999999"]
    reads_all(connection, "timestamptz", edges, **options)


@pytest.mark.parametrize(
    "value",
    [
        *["infinity", "-infinity", "0044-03-15 BC", "0001-12-31 23:59:59 BC"],
        *["10000-01-01", "12000-01-01 00:00+02", "294276-12-31 23:59:59+00"],
        "4714-12-01 00:00+00 BC",
    ],
)
def test_timestamptz_out_of_range_of_other_sessions(abroad: Any, value: str) -> None:
    connect, zone = abroad
    connection = connect(UTC)
    fails(connection, f"SELECT '{value}'::timestamptz", session_timezone=zone)


def test_a_zone_that_returns_no_datetime_or_raises(connection: Connection) -> None:
    class Odd(dt.tzinfo):
        fromutc = mock.Mock(side_effect=["noon", LookupError("lost")])

    for error, message in (TypeError, "not a datetime"), (LookupError, "lost"):
        with pytest.raises(error, match=message):
            decoded(connection, BINARY, "SELECT now()", session_timezone=Odd())


@pytest.mark.parametrize(
    "expression",
    [
        *["'infinity'::date", "'-infinity'::date", "'0044-03-15 BC'::date"],
        *["'10000-01-01'::date", "'5874897-12-31'::date", "'4713-01-01 BC'::date"],
        *["'infinity'::timestamp", "'-infinity'::timestamp", "'infinity'::timestamptz"],
        *["'0044-03-15 12:00:00.25 BC'::timestamp", "'10000-01-01'::timestamp"],
        *["'294276-12-31 23:59:59.999999'::timestamptz", "'-infinity'::timestamptz"],
        *["'24:00:00'::time", "'24:00:00+02'::timetz", "'24:00-05:50:36'::timetz"],
        *["'999999999 days 24:00:00'::interval", "'-999999999 days -1 us'::interval"],
        "'999999999 days 1 mon -00:00:00.5'::interval",
    ],
)
def test_out_of_range(connection: Connection, expression: str) -> None:
    fails(connection, f"SELECT {expression}")


def test_interval_beyond_any_timedelta(connection: Connection) -> None:
    # psycopg's compiled loader wraps around here; its Python one raises, as we do.
    for format in FORMATS:
        with pytest.raises(psycopg.DataError, match="178000000 years"):
            decoded(connection, format, "SELECT '178000000 years'::interval")


def test_infinite_interval_is_nothing_as_today(connection: Connection) -> None:
    if connection.info.server_version < 170000:
        pytest.skip("PostgreSQL 17 has infinite intervals")
    reads_all(connection, "interval", ["infinity", "-infinity"])
