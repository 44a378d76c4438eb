"""A pooled connection for a block whose first statement is known: as one of Django's."""

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import ProgrammingError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import DatabaseWrapper
from django.test.utils import CaptureQueriesContext, override_settings

from django_async_fast import new_connection, run_sync
from django_async_fast.connections.wrapper import BlockWrapper
from tests.support.noted import noted
from tests.support.signals import receiving
from tests.support.uncollected import left_to_collect
from tests.testapp.models import Tag

from .warm_pool import block, its_wrapper, known_block, not_connecting, state_of, warm

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("tag")]


@pytest.mark.not_verified
async def test_django_does_not_connect_again() -> None:
    session = await warm()
    with not_connecting():
        async with known_block() as conn:
            assert conn.connection.session is session
            assert its_wrapper() is conn
            assert conn.gate.root.open
            assert conn.pool.gate is conn.connection.gate is conn.gate
            assert conn.block.wrappers["pooled"] is conn


@pytest.mark.not_verified
async def test_it_is_as_one_that_django_has_connected() -> None:
    """The attributes and their values, but for what is of each."""
    async with new_connection("pooled") as conn:
        await conn.aensure_connection()
        theirs, raw = state_of(conn), state_of(conn.connection)
    await warm()
    with not_connecting():
        async with known_block() as conn:
            ours = state_of(conn)
            assert state_of(conn.connection) == raw
    assert theirs.pop("close_at") <= ours.pop("close_at")
    assert ours == theirs


async def test_another_alias_s_wrapper_is_connected_as_its_own() -> None:
    await warm()

    def exchanged() -> Any:
        connections["pooled"] = connections["default"]
        Tag.objects.using("pooled").get(pk=1)
        return connections["pooled"]

    async with new_connection("pooled"):
        conn = await run_sync(exchanged)
        assert (conn.alias, conn.pool) == ("default", None)
        assert getattr(conn.connection, "_pool", None) is None


async def test_the_signal_is_sent_for_each_block() -> None:
    await warm()
    seen: list[Any] = []

    def receiver(connection: Any, **kwargs: Any) -> None:
        assert connection.connection is not None
        seen.append(connection)

    with receiving(receiver):
        assert [await block(), await block()] == seen


async def test_a_receiver_that_fails_leaves_nothing_taken() -> None:
    session = await warm()

    def receiver(connection: Any, **kwargs: Any) -> None:
        connection.connection.execute("SELECT nothing")

    with receiving(receiver), pytest.raises(ProgrammingError, match="nothing"):
        await block()
    assert session.closed  # as after Django's connect()
    await warm()


async def test_settings_changed_in_place_are_read_again() -> None:
    await warm()
    with mock.patch.dict(connections.settings["pooled"], CONN_HEALTH_CHECKS=True):
        async with known_block():
            assert its_wrapper().health_check_enabled
    for _ in range(2):  # the one that was left then is not taken now
        async with known_block():
            assert not its_wrapper().health_check_enabled


async def test_the_time_zone_is_asked_for_in_each_block() -> None:
    await warm()
    before = connections["pooled"].timezone
    with override_settings(USE_TZ=False):
        async with known_block():
            assert its_wrapper().timezone is None
    async with known_block():
        assert its_wrapper().timezone == before


async def test_a_block_that_is_rolled_back_makes_its_own() -> None:
    await warm()
    async with known_block(force_rollback=True):
        assert its_wrapper().in_atomic_block


@pytest.mark.parametrize("known", [False, True])
async def test_the_log_is_as_long_as_it_may_be(
    known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with new_connection("pooled") as conn:
        await conn.aensure_connection()
    if known:
        await warm()
    monkeypatch.setattr(BaseDatabaseWrapper, "queries_limit", 3)
    async with known_block():
        assert its_wrapper().queries_log.maxlen == 3


async def test_statements_in_a_block_are_logged_as_ever() -> None:
    await warm()
    with override_settings(DEBUG=True):
        async with known_block():
            log = its_wrapper().queries
    assert len(log) == 1


async def test_captured_queries_of_a_block() -> None:
    await warm()

    def captured() -> int:
        with CaptureQueriesContext(connections["pooled"]) as queries:
            Tag.objects.using("pooled").get(pk=1)
        return len(queries)

    async with new_connection("pooled"):
        assert await run_sync(captured) == 1


async def test_nothing_is_left_to_collect() -> None:
    await warm()
    with left_to_collect() as left:
        for _ in range(5):
            await block()
        gc.collect()
        assert not [each for each in left if isinstance(each, BlockWrapper)]


async def test_autocommit_changed_without_django() -> None:
    await warm()
    async with known_block():
        await run_sync(its_wrapper().connection.set_autocommit, False)
    async with known_block():
        assert its_wrapper().connection.autocommit


def test_a_loop_that_goes_on_in_another_thread() -> None:
    loop = asyncio.new_event_loop()
    run = loop.run_until_complete
    run(warm())
    assert run(block())
    with ThreadPoolExecutor() as other:
        assert other.submit(lambda: run(block())).result()
    assert run(block())
    run(loop.shutdown_asyncgens())
    loop.close()


async def test_other_settings_of_the_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    await warm()
    other = {**connections.settings["pooled"]}
    monkeypatch.setitem(connections.settings, "pooled", other)
    async with known_block():
        assert its_wrapper().settings_dict is other


async def test_a_time_zone_without_time_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.settings["pooled"], "TIME_ZONE", "UTC")
    await warm()
    with (
        override_settings(USE_TZ=False),
        pytest.raises(ImproperlyConfigured, match="USE_TZ is False"),
    ):
        await block()


@pytest.mark.parametrize("name", ["__init__", "connect", "check_settings"])
async def test_a_step_that_somebody_replaces(name: str) -> None:
    await warm()
    with noted(DatabaseWrapper, name) as calls:
        await block()
    assert calls
    await warm()


async def test_an_async_receiver_that_is_broken_off() -> None:
    session = await warm()

    async def receiver(**kwargs: Any) -> None:
        await asyncio.sleep(10)

    with receiving(receiver):
        task = asyncio.create_task(block())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert session.closed
    await block()
