"""A primary and a standby that follows it, on servers of the system's PostgreSQL."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tools.postgres import _stop, free_port, server, wait_until_ready

# Of both: a standby must allow what its primary does.
SETTINGS = {
    "fsync": "off",
    "max_connections": "100",
    "max_prepared_transactions": "0",
    "wal_level": "replica",
    "max_wal_senders": "5",
    "synchronous_commit": "on",
    "shared_buffers": "32MB",
}


class Replicated:
    """Conninfo of both, and what happens to them."""

    def __init__(self, primary: str, standby: str) -> None:
        self.primary = primary
        self.standby = standby

    def database(self, wanted: str, **options: Any) -> dict[str, Any]:
        """Return what DATABASES wants, for whichever is in the state `wanted`."""
        both = [conninfo_to_dict(dsn) for dsn in (self.primary, self.standby)]
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "postgres",
            "USER": "postgres",
            "HOST": ",".join(str(each["host"]) for each in both),
            "PORT": ",".join(str(each["port"]) for each in both),
            "OPTIONS": {
                "target_session_attrs": wanted,
                "connect_timeout": 3,
                **options,
            },
        }

    def catch_up(self) -> None:
        """Wait until the standby has what the primary has."""
        with psycopg.connect(self.primary, autocommit=True) as primary:
            (end,) = primary.execute("SELECT pg_current_wal_lsn()").fetchone() or [0]
        with psycopg.connect(self.standby, autocommit=True) as standby:
            question = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
            deadline = time.monotonic() + 30
            while standby.execute(question, [end]).fetchone() != (True,):
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def kill_primary(self) -> None:
        """End it at once, as if its machine had gone."""
        with psycopg.connect(self.primary, autocommit=True) as primary:
            found = primary.execute("SELECT pg_read_file('postmaster.pid')").fetchone()
        assert found is not None
        os.kill(int(found[0].split()[0]), signal.SIGQUIT)

    def promote(self) -> None:
        """Let the standby be the primary; returns when it is."""
        with psycopg.connect(self.standby, autocommit=True) as standby:
            assert standby.execute("SELECT pg_promote(true, 30)").fetchone() == (True,)


@contextmanager
def replicated(binaries: Path) -> Iterator[Replicated]:
    """Start both; `binaries` is the folder of PostgreSQL's programs."""
    user = "postgres" if os.geteuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="django-async-fast-standby-"))
    if user:
        shutil.chown(home, user)
    try:
        with server(binaries, **SETTINGS) as primary:
            copy = [binaries / "pg_basebackup", "-d", primary.dsn, "-D", home / "data"]
            copy += ["-R", "-X", "stream", "-c", "fast"]
            subprocess.run(copy, user=user, cwd="/", check=True)
            port = free_port()
            start = [binaries / "postgres", "-D", home / "data", "-p", str(port)]
            start += ["-h", "127.0.0.1", "-k", ""]
            start += [f"--{name}={value}" for name, value in SETTINGS.items()]
            log = home / "log"
            with log.open("w") as out:
                standby = subprocess.Popen(
                    start, user=user, cwd="/", stdout=out, stderr=out
                )
            try:
                dsn = make_conninfo(primary.dsn, port=port)
                wait_until_ready(standby, dsn, log)
                yield Replicated(primary.dsn, dsn)
            finally:
                _stop(standby)
    finally:
        shutil.rmtree(home, ignore_errors=True)
