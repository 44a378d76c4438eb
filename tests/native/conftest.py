"""What tests of the decoders share: libpq and a connection."""

import datetime as dt
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec

import psycopg
import pytest
from django.db.backends.postgresql.psycopg_any import get_adapters_template

from tests.support.forged_results import libpq_path


@pytest.fixture(scope="session", autouse=True)
def _libpq_is_loaded() -> None:
    # Tests of the decoders also run where the package does not use them.
    if find_spec("django_async_fast._decode"):
        import_module("django_async_fast._decode").load_libpq(libpq_path())


@pytest.fixture(scope="module")
def connection(dsn: str) -> Iterator[psycopg.Connection]:
    """A connection with the loaders and dumpers that Django registers."""
    template = get_adapters_template(True, dt.UTC)
    with psycopg.connect(dsn, autocommit=True, context=template) as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        yield connection
