"""`manage.py check --database default` says what a pooler does not go with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core import checks
from django.db import connections
from psycopg.conninfo import conninfo_to_dict

from django_async_fast.connections import poolers
from tests.support import pgbouncer

needs_pooler = pytest.mark.skipif(
    pgbouncer.PROGRAM is None, reason=pgbouncer.NO_PROGRAM
)
needs_newer = pytest.mark.skipif(pgbouncer.NEWER is None, reason=pgbouncer.NO_NEWER)

Said = Callable[..., list[str]]


def said(alias: str) -> list[str]:
    found = checks.run_checks(tags=[checks.Tags.database], databases=[alias])
    prefix = "django_async_fast."
    return [
        each.id.removeprefix(prefix) for each in found if each.id.startswith(prefix)
    ]


@pytest.fixture
def behind(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Said:
    """Return what the check says of `default` behind a pooler, with other settings."""

    def check(
        program: Any = pgbouncer.PROGRAM,
        mode: str = "transaction",
        prepared: int = 0,
        servers: int = 3,
        before: Callable[[str], Any] = lambda pooled: None,
        **changes: Any,
    ) -> list[str]:
        home = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        home.mkdir()
        home.chmod(0o777)
        with pgbouncer.pgbouncer(
            dsn, home, servers, program=program, mode=mode, prepared=prepared
        ) as pooled:
            params = conninfo_to_dict(pooled)
            settings = {
                **connections.settings["default"],
                "HOST": params["host"],
                "PORT": params["port"],
                **changes,
            }
            before(pooled)
            monkeypatch.setitem(connections.settings, "behind", settings)
            return said("behind")

    return check


def test_the_server_itself() -> None:
    assert said("default") == said("pooled") == []


def test_one_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = {**connections.settings["default"], "HOST": "127.0.0.1", "PORT": "1"}
    monkeypatch.setitem(connections.settings, "gone", gone)
    assert said("gone") == []


@needs_pooler
def test_transaction_mode(behind: Said) -> None:
    assert behind() == ["E003"]
    assert behind(DISABLE_SERVER_SIDE_CURSORS=True) == []
    options = {"prepare_threshold": 5, "assume_role": "pg_monitor"}
    assert behind(OPTIONS=options) == ["E003", "E004", "E005"]


@needs_pooler
def test_session_mode(behind: Said) -> None:
    options = {"prepare_threshold": 5, "assume_role": "pg_monitor"}
    assert behind(mode="session", OPTIONS=options) == []


@needs_newer
def test_one_that_follows_prepared_statements(behind: Said) -> None:
    changes = {
        "program": pgbouncer.NEWER,
        "OPTIONS": {"prepare_threshold": 5},
        "DISABLE_SERVER_SIDE_CURSORS": True,
    }
    assert behind(**changes, prepared=100) == []
    assert behind(**changes) == ["E004"]


@needs_pooler
@pytest.mark.parametrize(
    "statement",
    [
        "SET lock_timeout = '1min'",
        "LISTEN daf_left",
        "SELECT pg_advisory_lock(7)",
        "CREATE TEMPORARY TABLE daf_left (a int)",
    ],
)
def test_what_is_left_in_a_session(behind: Said, statement: str) -> None:
    def leave(pooled: str) -> None:
        # In all of them: the next one may be any.
        others = [psycopg.connect(pooled) for _ in range(3)]
        for each in others:
            each.execute("SELECT 1")
        for each in others:
            if "advisory" in statement:
                each.execute(statement.replace("lock(", "lock_shared("))
            else:
                each.execute(statement)
            each.commit()
        for each in others:
            each.close()

    assert behind(before=leave, DISABLE_SERVER_SIDE_CURSORS=True) == ["W006"]


@pytest.fixture
def without_console(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for most users: PgBouncer lets few in, and other poolers have another one."""
    monkeypatch.setattr(poolers, "_pgbouncer", lambda wrapper: None)


@needs_pooler
@pytest.mark.usefixtures("without_console")
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_the_mode_is_known_without_the_console(behind: Said, mode: str) -> None:
    expected = {"transaction": ["E003", "W004"], "session": []}
    options = {"prepare_threshold": 5}
    assert behind(mode=mode, OPTIONS=options) == expected[mode]


@needs_pooler
@pytest.mark.usefixtures("without_console")
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_the_mode_is_not_known_while_no_session_is_free(
    behind: Said, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(poolers, "PATIENCE", 2)
    # In session mode the check's first connection has it, in transaction mode nobody.
    expected = {"transaction": ["E003"], "session": ["W003"]}
    assert behind(mode=mode, servers=1) == expected[mode]
