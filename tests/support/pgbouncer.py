"""PgBouncer before the test server, where it is installed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tools.mysql import UNSTABLE
from tools.postgres import free_port, wait_until_ready

# From here on it follows prepared statements from one session to another.
FOLLOWS = (1, 21)

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
    listen = free_port()
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
        wait_until_ready(process, pooled, home / "log")
        yield pooled
    finally:
        process.terminate()
        process.wait()
