"""PgBouncer before the test server, where it is installed."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

# Where `tools/debian` has its Debian unstable.
UNSTABLE = Path(os.environ.get("DEBIAN_HOME", "/var/tmp/django-async-fast/debian"))
# From here on it follows prepared statements from one session to another.
FOLLOWS = (1, 21)
START_TIMEOUT = 10.0

CONFIG = """
[databases]
* = host={host} port={port} user={user} {password}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {servers}
server_round_robin = 1
{more}
"""


class Program(NamedTuple):
    """A PgBouncer of this machine's: what runs it, and its version."""

    command: tuple[str, ...]
    version: tuple[int, ...]

    @property
    def follows(self) -> bool:
        return self.version >= FOLLOWS


def _program(*command: str) -> Program | None:
    done = subprocess.run([*command, "--version"], capture_output=True, text=True)
    if done.returncode:
        return None
    return Program(command, tuple(map(int, done.stdout.split()[1].split(".")[:2])))


def _of_machine() -> Program | None:
    # Debian has it where only root's PATH leads.
    path = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    return _program(path) if path else None


def _of_unstable() -> Program | None:
    """Return that of `tools/debian`, run with the libraries that it was built for."""
    program = UNSTABLE / "usr/sbin/pgbouncer"
    for loader in UNSTABLE.glob("usr/lib/*-linux-gnu/ld-linux-*.so.*"):
        if program.exists():
            libraries = str(loader.parent)
            return _program(str(loader), "--library-path", libraries, str(program))
    return None


PROGRAM = _of_machine() or _of_unstable()
# One that follows prepared statements.
NEWER = PROGRAM if PROGRAM and PROGRAM.follows else _of_unstable()

NO_PROGRAM = "no PgBouncer: install it (apt-get install pgbouncer)"
NO_NEWER = "no PgBouncer of 1.21 or later: `tools/debian true` has one"


@contextmanager
def pgbouncer(
    dsn: str,
    home: Path,
    servers: int,
    *,
    program: Program | None = PROGRAM,
    mode: str = "transaction",
    prepared: int = 0,
) -> Iterator[str]:
    """Yield the conninfo of a pooler with at most `servers` connections to `dsn`.

    They are used in turn: what a client's session leaves behind is another's next. It
    follows at most `prepared` statements.
    """
    assert program is not None
    target: dict[str, Any] = conninfo_to_dict(dsn)
    listen = _free_port()
    config = home / "pgbouncer.ini"
    password = f"password={target['password']}" if "password" in target else ""
    more = f"max_prepared_statements = {prepared}" if program.follows else ""
    values = target | {"password": password, "mode": mode, "more": more}
    config.write_text(CONFIG.format(**values, listen=listen, servers=servers))
    command = [*program.command, "-q", str(config)]
    if os.geteuid() == 0:
        command[-2:-2] = ["-u", "nobody"]  # it refuses to run as root
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        pooled = make_conninfo(dsn, host="127.0.0.1", port=listen)
        _wait_until_ready(pooled, process, home / "log")
        yield pooled
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(dsn: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            psycopg.connect(dsn, connect_timeout=5).close()
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no PgBouncer: {log.read_text()}") from None
            time.sleep(0.05)
