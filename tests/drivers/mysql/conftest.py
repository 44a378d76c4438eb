"""MariaDB and MySQL: their connections on the loop, or each in a thread."""

import asyncio
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.apps import apps
from django.db import connections
from django.test.utils import override_settings

from django_async_fast import conf, new_connection, run_sync
from tests.support.other_databases import threads
from tools import mysql
from tools.postgres import free_port

PASSWORD = "sécret"

# The beginning of a statement that has `n`, of 150 rows: on MariaDB and on MySQL.
NUMBERS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150) "
)


class MysqlServer(NamedTuple):
    """A server, with users `near` and `far` who have a password; `far` needs TLS."""

    kind: str
    socket: str
    port: int
    # The certificate of who has signed the server's.
    authority: str


def make_authority(home: Path, name: str) -> Path:
    """Make an authority, as servers do that make their own: without key usage."""
    subject = ["-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE"]
    keys = ["-keyout", home / f"{name}.key", "-out", home / f"{name}.pem"]
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *keys)
    return home / f"{name}.pem"


def _make_certificate(home: Path, authority: Path) -> None:
    subject = ["-subj", "/CN=server", "-keyout", home / "server.key"]
    _openssl("req", "-newkey", "rsa:2048", "-nodes", *subject, "-out", home / "csr")
    (home / "names").write_text("subjectAltName=IP:127.0.0.1")
    by = ["-CA", authority, "-CAkey", authority.with_suffix(".key"), "-CAcreateserial"]
    names = ["-extfile", home / "names", "-out", home / "server.pem"]
    _openssl("x509", "-req", "-in", home / "csr", *by, *names)


def _openssl(*arguments: object) -> None:
    command = ["openssl", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="session", params=["mariadb"])
def server(request: pytest.FixtureRequest) -> Iterator[MysqlServer]:
    """A MariaDB; a MySQL for tests that ask for it."""
    kind = request.param
    if mysql.missing if kind == "mariadb" else mysql.missing_mysql:
        pytest.skip(f"needs {kind}-server, mysqlclient and asyncmy")
    started, port = getattr(mysql, kind), free_port()
    # The path of a socket must be short.
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        authority = make_authority(home, "authority")
        _make_certificate(home, authority)
        options = [
            f"--port={port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            f"--ssl-ca={authority}",
            f"--ssl-cert={home / 'server.pem'}",
            f"--ssl-key={home / 'server.key'}",
        ]
        with started(home, *options) as path:
            _make_users(path)
            yield MysqlServer(kind, path, port, str(authority))


def _make_users(path: str) -> None:
    import MySQLdb

    connection = MySQLdb.connect(unix_socket=path, user="root", charset="utf8mb4")
    with closing(connection), connection.cursor() as cursor:
        for user, needs in (("near", ""), ("far", "REQUIRE SSL")):
            by = f"IDENTIFIED BY '{PASSWORD}' {needs}"
            cursor.execute(f"CREATE USER {user}@'127.0.0.1' {by}")
            cursor.execute(f"GRANT ALL ON tests.* TO {user}@'127.0.0.1'")


@pytest.fixture
def other_authority(tmp_path: Path) -> str:
    """The certificate of an authority that has not signed the server's."""
    return str(make_authority(tmp_path, "other"))


async def both_ways(log: str, function: Callable[[], Any]) -> Any:
    """Return what `function()` gives in a block; the same as in stock Django."""

    def stock() -> Any:
        try:
            return function()
        finally:
            connections[log].close()

    async with new_connection(log):
        in_block = await run_sync(function)
        assert len(threads()) == (log in conf.get("THREADED"))
    _same(in_block, await asyncio.to_thread(stock))
    return in_block


def _same(found: Any, expected: Any) -> None:
    if isinstance(expected, list | tuple) and len(found) == len(expected):
        for pair in zip(found, expected, strict=True):
            _same(*pair)
    assert found == expected


@pytest.fixture(params=["loop", "threads"])
def driver(request: pytest.FixtureRequest) -> Iterator[str]:
    """How connections wait."""
    threaded = ["log"] if request.param == "threads" else []
    with override_settings(DJANGO_ASYNC_FAST={"THREADED": threaded}):
        yield request.param


@pytest.fixture
def log(server: MysqlServer, driver: str) -> Iterator[str]:
    """An alias on MariaDB, with tables."""
    alias = "log"
    connections.settings[alias] = {
        **connections.settings["default"],
        "ENGINE": "django.db.backends.mysql",
        "NAME": "tests",
        "USER": "root",
        "PASSWORD": "",
        "HOST": server.socket,
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
