"""`python -m django_async_fast check`: what a server can do of what is needed."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from psycopg.conninfo import conninfo_to_dict

from django_async_fast import __main__ as command
from django_async_fast.doctor import answers, probes
from tests.support import pgbouncer
from tests.support.other_databases import other_database


def asked(alias: str) -> dict[str, tuple[str, str]]:
    return {subject: rest for subject, *rest in probes.answers(alias)}  # type: ignore[misc]


@pytest.mark.parametrize("alias", ["default", "pooled"])
def test_postgresql_has_all(alias: str) -> None:
    found = asked(alias)
    assert {level for level, _ in found.values()} == {answers.YES}, found
    assert len(found) == len(probes._PROBES)
    assert found["server"][1].startswith("PostgreSQL")


def test_the_command_prints_a_table(capsys: Any) -> None:
    assert command.main(["check", "--database", "default"]) == 0
    printed = capsys.readouterr().out
    assert "savepoints" in printed
    assert "PostgreSQL" in printed


@pytest.mark.skipif(pgbouncer.PROGRAM is None, reason=pgbouncer.NO_PROGRAM)
def test_a_pooler_in_transaction_mode(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "pgbouncer"
    home.mkdir()
    home.chmod(0o777)
    with pgbouncer.pgbouncer(dsn, home, servers=2) as pooled:
        params = conninfo_to_dict(pooled)
        host = {"HOST": params["host"], "PORT": params["port"]}
        settings = {**connections.settings["default"], **host}
        monkeypatch.setitem(connections.settings, "behind", settings)
        found = asked("behind")
    noted = {subject for subject, (level, _) in found.items() if level == answers.NOTE}
    assert noted >= {"nothing in between", "sessions", "advisory locks"}, found
    assert "transaction mode" in found["sessions"][1]
    assert not [each for each, (level, _) in found.items() if level == answers.NO], (
        found
    )


def test_what_is_lacking_is_said_and_the_code_is_1(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    async def lacks(alias: str) -> str:
        raise probes.Lacking("no such thing")

    monkeypatch.setitem(probes._PROBES, "savepoints", (lacks, None))
    monkeypatch.setitem(probes._PROBES, "COPY", (lacks, "do without"))
    assert command.main(["check"]) == 1
    printed = capsys.readouterr().out
    assert "no such thing" in printed
    assert "no such thing: do without" in printed


def test_a_database_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    settings = {**connections.settings["default"], "HOST": "127.0.0.1", "PORT": "1"}
    monkeypatch.setitem(connections.settings, "gone", settings)
    assert command.main(["check", "--database", "gone"]) == 1
    assert "gone: no answer" in capsys.readouterr().out


def test_other_databases_are_not_probed(tmp_path: Path) -> None:
    with other_database("file", tmp_path) as alias:
        assert [level for level, _ in asked(alias).values()] == [answers.NOTE]
