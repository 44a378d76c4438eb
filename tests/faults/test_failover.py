"""The primary is killed under load, and its standby promoted."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from django_async_fast import new_connection
from tests.support.replicated import Replicated, replicated
from tools.conformance.cluster import system_binaries

POOL = {"min_size": 2, "max_size": 6, "timeout": 3, "reconnect_timeout": 30}
PROGRAM = [sys.executable, "-m", "tests.faults.failover"]
# What a busy machine may add to a second.
SLACK = 1.5


@pytest.fixture
def servers() -> Iterator[Replicated]:
    binaries = system_binaries()
    if binaries is None or not (binaries / "pg_basebackup").exists():
        pytest.skip("no system PostgreSQL")
    with replicated(binaries) as both:
        yield both


@pytest.mark.parametrize("pooled", [True, False], ids=["pool", "no pool"])
def test_under_load(servers: Replicated, pooled: bool) -> None:
    options = {"pool": POOL} if pooled else {}
    databases = {
        "default": servers.database("read-write", **options),
        "replica": servers.database("prefer-standby", **options),
    }
    settings = json.dumps(databases) + "\n"
    subprocess.run([*PROGRAM, "--make"], input=settings, text=True, check=True)
    servers.catch_up()
    with subprocess.Popen(
        PROGRAM,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # each attempt to connect
        text=True,
    ) as site:
        assert site.stdin is not None
        assert site.stdout is not None
        site.stdin.write(settings)
        site.stdin.flush()
        assert site.stdout.readline() == "begun\n"
        time.sleep(2)
        killed = time.monotonic()
        servers.kill_primary()
        time.sleep(1.5)
        servers.promote()
        promoted = time.monotonic()
        *lines, pools = site.stdout.read().splitlines()
    assert site.returncode == 0

    reads = {"read", "stream"}
    failed = set()
    for began, ended, kind, error in map(json.loads, lines):
        if not error:
            continue
        assert kind not in reads, (kind, error)
        assert "OperationalError" in error or "PoolTimeout" in error, error
        assert ended >= killed, (kind, error)
        assert began < promoted + 1 + SLACK, (kind, began - promoted, error)
        failed.add(kind)
    done = [json.loads(line) for line in lines]
    after = {kind for began, _, kind, error in done if not error and began > promoted}
    assert after == reads | {"write", "read back"}
    again = min(
        ended
        for _, ended, kind, error in done
        if kind == "write" and ended > promoted and not error
    )
    assert again - promoted < 1 + SLACK
    assert failed <= {"write", "read back"}
    for stats in json.loads(pools).values():
        assert (stats["used"], stats["waiting"]) == (0, 0)
        assert stats["idle"] >= 1
    assert len(json.loads(pools)) == (2 if pooled else 0)


async def test_each_alias_finds_its_server(
    servers: Replicated, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = {"pool": {"min_size": 1, "max_size": 2}}
    wanted = {"primary": True, "read-write": True, "standby": False}
    wanted |= {"prefer-standby": False, "read-only": False, "any": True}
    for attrs, writes in wanted.items():
        for options in ({}, pool):
            alias = f"{attrs} {bool(options)}"
            settings = {
                **connections.settings["default"],
                **servers.database(attrs, **options),
                "CONN_HEALTH_CHECKS": False,
            }
            monkeypatch.setitem(connections.settings, alias, settings)
            assert await _writes(alias) is writes, alias


async def _writes(alias: str) -> Any:
    async with new_connection(alias) as conn:
        async with conn.acursor() as cursor:
            await cursor.execute("SELECT NOT pg_is_in_recovery()")
            row = await cursor.fetchone()
        await asyncio.sleep(0)
        return row and row[0]
