"""What a block or its connection is not for, and a server that is not there: what users are told."""

import asyncio
import socket
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, connections, transaction
from django.db.utils import ConnectionDoesNotExist

from django_async_fast import async_connections, bridge, checks, new_connection
from django_async_fast.connections import lazy_wrapper
from django_async_fast.drivers.psycopg import requirements
from tests.support.backend_pids import abackend_pid
from tests.testapp.models import Author


async def test_a_wrong_alias() -> None:
    with pytest.raises(ConnectionDoesNotExist, match="default, other, pooled"):
        async with new_connection("nonsense"):
            pytest.fail("entered")
    async with new_connection():
        with pytest.raises(ConnectionDoesNotExist, match="default, other, pooled"):
            async_connections["nonsense"]
        with pytest.raises(ConnectionDoesNotExist):
            await Author.objects.using("nonsense").acount()
        assert await Author.objects.acount() == 0


async def test_a_synchronous_with() -> None:
    with pytest.raises(RuntimeError, match="async with new"), new_connection():
        pytest.fail("entered")


def test_no_event_loop() -> None:
    entering = new_connection().__aenter__()
    with pytest.raises(RuntimeError, match="running event loop"):
        entering.send(None)


async def test_a_block_is_entered_once() -> None:
    block = new_connection()
    async with block:
        with pytest.raises(RuntimeError, match="entered already"):
            await block.__aenter__()
        assert await Author.objects.acount() == 0


async def test_a_connection_after_its_block() -> None:
    async with new_connection() as conn:
        assert await abackend_pid()
    with pytest.raises(InterfaceError, match="has ended"):
        conn.acursor()
    with pytest.raises(InterfaceError, match="has ended"):
        await bridge.run(conn.cursor)


async def test_a_cursor_after_its_block() -> None:
    async with new_connection() as conn:
        cursor = conn.acursor()
        await cursor.execute("SELECT 1")
    with pytest.raises(InterfaceError, match="has ended"):
        await cursor.execute("SELECT 1")
    await cursor.close()


async def test_a_cursor_after_it_was_closed() -> None:
    async with new_connection() as conn:
        async with conn.acursor() as cursor:
            await cursor.execute("SELECT 1")
        calls = lambda: cursor.execute("SELECT 1"), cursor.fetchone, cursor.fetchall
        for call in calls:
            with pytest.raises(InterfaceError, match="cursor is closed"):
                await call()
        await cursor.close()  # closing twice is fine


@pytest.mark.parametrize("connected", [True, False])
async def test_a_task_that_outlives_its_block(connected: bool) -> None:
    ended = asyncio.Event()

    async def late(work: Any) -> Any:
        await ended.wait()
        return await work()

    async def own_block() -> int:
        async with new_connection():
            return await Author.objects.acount()

    async def iterate() -> list[Author]:
        return [author async for author in Author.objects.all()]

    async with new_connection():
        if connected:
            await abackend_pid()
        refused = [
            asyncio.create_task(late(work))
            for work in (Author.objects.acount, iterate, abackend_pid)
        ]
        fine = asyncio.create_task(late(own_block))
    ended.set()
    for task in refused:
        with pytest.raises(InterfaceError, match="has ended"):
            await task
    assert await fine == 0


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str | None]]:
    """Versions that importlib.metadata is made to tell; None is not installed."""
    versions: dict[str, str | None] = {"psycopg": "3.3.9", "psycopg-pool": "3.3.3"}

    def version(name: str) -> str:
        found = versions[name]
        if found is None:
            raise PackageNotFoundError(name)
        return found

    monkeypatch.setattr(requirements, "version", version)
    kept = requirements.psycopg_problem, lazy_wrapper._lazy_class
    for each in kept:
        each.cache_clear()
    yield versions
    for each in kept:
        each.cache_clear()


@pytest.mark.parametrize(
    ("package", "version"),
    [
        ("psycopg", None),
        ("psycopg", "3.3.8"),
        ("psycopg", "2.9.10"),
        ("psycopg-pool", None),
        ("psycopg-pool", "3.2.6"),
    ],
)
async def test_psycopg_is_missing_or_too_old(
    installed: dict[str, str | None], package: str, version: str | None
) -> None:
    installed[package] = version
    told = f"{package} .* or later, found {version or 'none'}.*pip install"
    with pytest.raises(ImproperlyConfigured, match=told):
        async with new_connection():
            pytest.fail("entered")
    (error,) = [e for e in checks.check_installation() if e.id.endswith(".E001")]
    assert package in error.msg


@pytest.mark.parametrize(
    ("psycopg", "pool"),
    [("3.3.9", "3.3.3"), ("3.4.0.dev1", "4.0"), ("4.0rc1", "3.4b1")],
)
async def test_psycopg_is_new_enough(
    installed: dict[str, str | None], psycopg: str, pool: str
) -> None:
    installed.update({"psycopg": psycopg, "psycopg-pool": pool})
    assert not [e for e in checks.check_installation() if "E001" in e.id]
    async with new_connection():
        assert await Author.objects.acount() == 0


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # and never listens
        yield reserved.getsockname()[1]


@pytest.mark.parametrize("alias", ["other", "pooled"])
async def test_a_server_that_refuses_connections(
    alias: str, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = connections.settings[alias]
    with monkeypatch.context() as patch:
        patch.setitem(settings, "PORT", str(closed_port))
        if alias == "pooled":
            pool = {"min_size": 0, "max_size": 1, "timeout": 0.2}
            patch.setitem(settings, "OPTIONS", {"pool": pool})
        async with new_connection(alias) as conn:
            told = "could be opened" if alias == "pooled" else "refused"
            for _ in range(2):
                with pytest.raises(OperationalError, match=told):
                    await Author.objects.using(alias).acount()
            with pytest.raises(OperationalError):
                async with transaction.atomic(using=alias):
                    pytest.fail("entered")
            assert conn.connection is None
            # The other connections of the block are none the worse.
            assert await Author.objects.acount() == 0


async def test_a_database_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(connections.settings["other"], "NAME", "nonsense")
        async with new_connection("other"):
            with pytest.raises(OperationalError, match="nonsense"):
                await Author.objects.using("other").acount()
    async with new_connection("other"):
        assert await Author.objects.using("other").acount() == 0
