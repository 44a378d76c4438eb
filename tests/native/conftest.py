"""A connection with the loaders and dumpers that Django registers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import psycopg
import pytest
from django.db.backends.postgresql.psycopg_any import get_adapters_template


@pytest.fixture(scope="module")
def connection(dsn: str) -> Iterator[psycopg.Connection]:
    template = get_adapters_template(True, dt.UTC)
    with psycopg.connect(dsn, autocommit=True, context=template) as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        yield connection
