"""MariaDB and MySQL servers to throw away, where Debian's are installed."""

import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Where `tools/debian` has its Debian unstable, with MySQL.
UNSTABLE = Path(os.environ.get("DEBIAN_HOME", "/var/tmp/django-async-fast/debian"))  # noqa: S108
START_TIMEOUT = 60.0


def _path(name: str) -> str | None:
    # Debian has it where only root's PATH leads.
    return shutil.which(name) or shutil.which(name, path="/usr/sbin")


INSTALL, MARIADB = shutil.which("mariadb-install-db"), _path("mariadbd")


def _mysql() -> list[str] | None:
    """Return the command of MySQL: the machine's, or that of `tools/debian`."""
    found = _path("mysqld")
    if found and "mariadb" not in Path(found).resolve().name:
        return [found, "--no-defaults"]
    program = UNSTABLE / "usr/sbin/mysqld"
    for loader in UNSTABLE.glob("usr/lib/*-linux-gnu/ld-linux-*.so.*"):
        if program.exists():
            # With the libraries that it was built for, and the texts that go with it.
            libraries = f"{loader.parent}:{UNSTABLE}/usr/lib/mysql/private"
            share = UNSTABLE / "usr/share/mysql"
            command = [str(loader), "--library-path", libraries, str(program)]
            command += ["--no-defaults", f"--lc-messages-dir={share}"]
            return [*command, f"--character-sets-dir={share}/charsets"]
    return None


MYSQL = _mysql()
_drivers = None not in map(importlib.util.find_spec, ("MySQLdb", "asyncmy"))

missing = not (_drivers and INSTALL and MARIADB)
missing_mysql = not (_drivers and MYSQL)

_AS_ROOT = ["--user=root"] if os.geteuid() == 0 else []


@contextmanager
def mariadb(home: Path, *options: str) -> Iterator[str]:
    """Yield the socket of a MariaDB that has a database `tests`, of root's."""
    data = f"--datadir={home / 'data'}"
    method = "--auth-root-authentication-method=normal"
    install = [str(INSTALL), "--no-defaults", data, method, *_AS_ROOT]
    subprocess.run(install, check=True, capture_output=True)
    with _started([str(MARIADB), "--no-defaults", data], home, options) as path:
        yield path


@contextmanager
def mysql(home: Path, *options: str) -> Iterator[str]:
    """Yield the socket of a MySQL, as `mariadb()` does."""
    assert MYSQL is not None
    command = [*MYSQL, f"--datadir={home / 'data'}"]
    install = [*command, "--initialize-insecure", *_AS_ROOT]
    subprocess.run(install, check=True, capture_output=True)
    with _started(
        [*command, "--mysqlx=OFF", "--secure-file-priv=NULL"], home, options
    ) as path:
        yield path


@contextmanager
def _started(command: list[str], home: Path, options: tuple[str, ...]) -> Iterator[str]:
    import MySQLdb

    path = str(home / "socket")
    command = [
        *(*command, *_AS_ROOT, *(options or ("--skip-networking",))),
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
                assert time.monotonic() < end, "the server does not start"
                time.sleep(0.05)
        connection.query("CREATE DATABASE tests CHARACTER SET utf8mb4")
        connection.close()
        yield path
    finally:
        process.terminate()
        process.wait(30)
