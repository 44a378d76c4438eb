"""PgBouncer in transaction mode before the test server, where it is installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

# Debian has it where only root's PATH leads.
PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
START_TIMEOUT = 10.0

CONFIG = """
[databases]
* = host={host} port={port} user={user} {password}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {servers}
server_round_robin = 1
{more}
"""


@contextmanager
def pgbouncer(dsn: str, home: Path, servers: int) -> Iterator[str]:
    """Yield the conninfo of a pooler with at most `servers` connections to `dsn`.

    They are used in turn: what a client's session leaves behind is another's next.
    """
    target: dict[str, Any] = conninfo_to_dict(dsn)
    listen = _free_port()
    config = home / "pgbouncer.ini"
    password = f"password={target['password']}" if "password" in target else ""
    values = target | {"password": password, "more": _follow_nothing()}
    config.write_text(CONFIG.format(**values, listen=listen, servers=servers))
    command = [PROGRAM, "-q", str(config)]
    if os.geteuid() == 0:
        command[1:1] = ["-u", "nobody"]  # it refuses to run as root
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        pooled = make_conninfo(dsn, host="127.0.0.1", port=listen)
        _wait_until_ready(pooled, process, home / "log")
        yield pooled
    finally:
        process.terminate()
        process.wait()


def _follow_nothing() -> str:
    """Have a PgBouncer that can follow prepared statements do as older ones do."""
    assert PROGRAM is not None
    said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True).stdout
    version = said.split()[1].split(".")[:2]
    return "max_prepared_statements = 0" if list(map(int, version)) >= [1, 21] else ""


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
