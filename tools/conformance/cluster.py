"""The PostgreSQL that Django's suite runs on: the system's, with its extensions.

The suite wants hstore, citext, unaccent and more, which the server from the package
index does not have. Without a system PostgreSQL that one is used all the same.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tools.postgres import SETTINGS, postgres


def system_binaries() -> Path | None:
    """Return the newest installed PostgreSQL's folder of programs, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


@contextlib.contextmanager
def cluster() -> Iterator[tuple[str, str]]:
    """Yield a server's conninfo and what is to be said about it."""
    binaries = system_binaries()
    if "DATABASE_URL" in os.environ or binaries is None:
        with postgres(autovacuum="off") as dsn:
            yield dsn, "no system PostgreSQL: tests that need an extension fail alike"
        return
    home = Path(tempfile.mkdtemp(prefix="conformance-"))
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(home, user)
    try:
        with _server(binaries, home, user) as dsn:
            yield dsn, f"system PostgreSQL ({binaries})"
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def _server(binaries: Path, home: Path, user: str | None) -> Iterator[str]:
    initdb = [binaries / "initdb", "-D", home / "data", "-U", "postgres"]
    options = ["-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"]
    subprocess.run(
        [*initdb, *options], user=user, check=True, stdout=subprocess.DEVNULL
    )
    port = _free_port()
    command = [binaries / "postgres", "-D", home / "data", "-h", "127.0.0.1"]
    command += ["-p", str(port), "-k", ""]
    command += [f"--{name}={value}" for name, value in SETTINGS.items()]
    dsn = f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, user=user, stdout=log, stderr=log)
    try:
        _wait_until_ready(dsn)
        yield dsn
    finally:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(15)
        server.kill()
        server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(dsn: str) -> None:
    for _ in range(300):
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(dsn, connect_timeout=2).close()
            return
        time.sleep(0.1)
    raise SystemExit("PostgreSQL did not start")
