"""MariaDB: its connections on the loop, or each in a thread."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connections
from django.test.utils import override_settings

from tests.support.other_databases import threads
from tools.mariadb import mariadb, missing


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The socket of a MariaDB."""
    if missing:
        pytest.skip("needs mariadb-server, mysqlclient and asyncmy")
    # The path of a socket must be short.
    with tempfile.TemporaryDirectory() as home, mariadb(Path(home)) as path:
        yield path


@pytest.fixture(params=["loop", "threads"])
def driver(request: pytest.FixtureRequest) -> Iterator[str]:
    """How connections wait."""
    threaded = ["log"] if request.param == "threads" else []
    with override_settings(DJANGO_ASYNC_FAST={"THREADED": threaded}):
        yield request.param


@pytest.fixture
def log(server: str, driver: str) -> Iterator[str]:
    """An alias on MariaDB, with tables."""
    alias = "log"
    connections.settings[alias] = {
        **connections.settings["default"],
        "ENGINE": "django.db.backends.mysql",
        "NAME": "tests",
        "USER": "root",
        "PASSWORD": "",
        "HOST": server,
        "PORT": "",
        "OPTIONS": {"charset": "utf8mb4"},
    }
    wrapper = connections[alias]
    try:
        with wrapper.schema_editor() as editor:
            for name in ("Author", "Publisher", "Tag", "Book", "Everything"):
                editor.create_model(apps.get_model("testapp", name))
        wrapper.close()
        yield alias
        assert not threads()
    finally:
        with wrapper.cursor() as cursor:
            cursor.execute("DROP DATABASE tests")
            cursor.execute("CREATE DATABASE tests CHARACTER SET utf8mb4")
        wrapper.close()
        del connections.settings[alias], connections[alias]
