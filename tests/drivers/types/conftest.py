"""Connections with the loaders that Django registers, on two servers."""

import datetime as dt
from collections.abc import Iterator

import psycopg
import pytest
from django.db.backends.postgresql.psycopg_any import get_adapters_template

from django_async_fast import _native

if not _native.COMPILED:
    collect_ignore_glob = ["test_*.py"]


def connect(dsn: str) -> psycopg.Connection:
    template = get_adapters_template(True, dt.UTC)
    connection = psycopg.connect(dsn, autocommit=True, context=template)
    connection.execute("SET TIME ZONE 'UTC'; SET client_min_messages TO warning")
    return connection


@pytest.fixture(scope="module")
def connection(dsn: str) -> Iterator[psycopg.Connection]:
    with connect(dsn) as connection:
        yield connection


@pytest.fixture
def system(system_dsn: str) -> Iterator[psycopg.Connection]:
    with connect(system_dsn) as connection:
        yield connection


@pytest.fixture(params=["package", "system"])
def either(
    request: pytest.FixtureRequest, connection: psycopg.Connection
) -> psycopg.Connection:
    """Each of the two servers in turn."""
    if request.param == "package":
        return connection
    return request.getfixturevalue("system")


@pytest.fixture(params=["default", "system"])
def alias(request: pytest.FixtureRequest) -> str:
    wanted = request.param == "system"
    return request.getfixturevalue("system_alias") if wanted else "default"
