"""The database that Django's suite runs on: PostgreSQL, MariaDB or SQLite.

The suite wants extensions and collations that the server which the tests start does not
have. Without a system PostgreSQL that one is used all the same.
"""

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tools.mysql import mariadb
from tools.postgres import postgres

# Django's names of them.
DATABASES = "postgresql", "mysql", "sqlite"


def system_binaries() -> Path | None:
    """Return the newest installed PostgreSQL's folder of programs, or None."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    if newest := max(found, key=lambda path: int(path.parts[4]), default=None):
        return newest.parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


@contextlib.contextmanager
def cluster() -> Iterator[tuple[str, str]]:
    """Yield a server's conninfo and what is to be said about it."""
    binaries = system_binaries()
    about = f"system PostgreSQL ({binaries})" if binaries else "the tests' PostgreSQL"
    if "DATABASE_URL" in os.environ:
        about = "the PostgreSQL of DATABASE_URL"
    with postgres(binaries, autovacuum="off") as dsn:
        yield dsn, about


@contextlib.contextmanager
def files() -> Iterator[tuple[str, str]]:
    """Yield the address of a folder for files of SQLite's, and its version."""
    with tempfile.TemporaryDirectory(prefix="conformance") as folder:
        yield f"sqlite:///{folder}", f"SQLite {sqlite3.sqlite_version}"


@contextlib.contextmanager
def socket() -> Iterator[tuple[str, str]]:
    """Yield the address of the socket of a MariaDB, and which drivers there are."""
    from asyncmy.version import __VERSION__
    from MySQLdb import version_info

    # The path of a socket must be short.
    with tempfile.TemporaryDirectory() as home, mariadb(Path(home)) as path:
        mysqlclient = ".".join(map(str, version_info[:3]))
        drivers = f"asyncmy {__VERSION__}, mysqlclient {mysqlclient}"
        yield f"mysql://{path}", f"the system's MariaDB ({drivers})"


def server_of(database: str) -> contextlib.AbstractContextManager[tuple[str, str]]:
    """Return what yields where the databases are, and what is to be said about it."""
    return {"postgresql": cluster, "mysql": socket, "sqlite": files}[database]()


def has_extras(dsn: str) -> bool:
    """Tell whether the server has contrib's extensions and ICU's collations."""
    bloom = "SELECT FROM pg_available_extensions WHERE name = 'bloom'"
    swedish = "SELECT FROM pg_collation WHERE collname = 'sv-x-icu'"
    with psycopg.connect(dsn) as connection:
        return all(connection.execute(query).rowcount for query in (bloom, swedish))
