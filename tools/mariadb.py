"""A MariaDB to throw away, where Debian's server and both drivers are installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INSTALL = shutil.which("mariadb-install-db")
# Debian has it where only root's PATH leads.
SERVER = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
START_TIMEOUT = 30.0

missing = not (INSTALL and SERVER) or None in map(
    importlib.util.find_spec, ("MySQLdb", "asyncmy")
)


@contextmanager
def mariadb(home: Path) -> Iterator[str]:
    """Yield the socket of a server that has a database `tests`, of root's."""
    import MySQLdb

    data, path = home / "data", str(home / "socket")
    user = ["--user=root"] if os.geteuid() == 0 else []
    method = "--auth-root-authentication-method=normal"
    install = [str(INSTALL), "--no-defaults", f"--datadir={data}", method, *user]
    subprocess.run(install, check=True, capture_output=True)
    command = [str(SERVER), "--no-defaults", f"--datadir={data}", *user]
    command += [
        "--skip-networking",
        f"--socket={path}",
        "--innodb-flush-log-at-trx-commit=0",
    ]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        end = time.monotonic() + START_TIMEOUT
        while True:
            try:
                connection = MySQLdb.connect(unix_socket=path, user="root")
                break
            except MySQLdb.OperationalError:
                assert process.poll() is None, (home / "log").read_text()
                assert time.monotonic() < end, "MariaDB does not start"
                time.sleep(0.05)
        connection.query("CREATE DATABASE tests CHARACTER SET utf8mb4")
        connection.close()
        yield path
    finally:
        process.terminate()
        process.wait(30)
