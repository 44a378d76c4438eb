"""A task is cancelled, or times out: in a query, a transaction, a pool, the clean-up."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from django.db import transaction
from django.db.backends.signals import connection_created
from django.db.transaction import TransactionManagementError
from psycopg import OperationalError

from django_async_fast import new_connection, run_sync
from django_async_fast.drivers.psycopg import cancellation
from tests.support.backend_pids import abackend_pid
from tests.support.cancelling import cancelled
from tests.support.configured import configured, pool_is_whole, pool_options
from tests.support.every_await import MOST, broken_off
from tests.testapp.models import Tag

from .conftest import Watch, through_proxy
from .failing import PATIENCE, Cases, sleep_on_the_server

CASES = Cases()


@contextlib.contextmanager
def impatient(seconds: float = 0.2) -> Iterator[None]:
    """Shorten the bounds on a server that does not answer."""
    assert cancellation.CANCEL_TIMEOUT == cancellation.DRAIN_TIMEOUT == 5.0
    with (
        mock.patch.object(cancellation, "CANCEL_TIMEOUT", seconds),
        mock.patch.object(cancellation, "DRAIN_TIMEOUT", seconds),
    ):
        yield


@contextlib.contextmanager
def slow_commit(watch: Watch) -> Iterator[None]:
    """Whoever commits a new Tag waits for five seconds."""
    watch.connection.execute(
        "CREATE FUNCTION wait_a_little() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_sleep(5); RETURN NULL; END';"
        "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON testapp_tag "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_a_little()"
    )
    try:
        yield
    finally:
        watch.connection.execute("DROP FUNCTION wait_a_little CASCADE")


async def cancelled_at_every_await(use: Callable[[], Any]) -> None:
    """Assert that no slot of the pool is lost, wherever `use` is cancelled."""
    with configured(OPTIONS=pool_options()):
        await use()
        for at in range(1, MOST):
            happened, _ = await broken_off(use, at, "cancel")
            await pool_is_whole()
            if not happened:
                return
    raise AssertionError("its use has no end")


@CASES.numbered(1)
async def cancelled_in_a_query(watch: Watch) -> None:
    async with new_connection() as conn:
        pid = await abackend_pid(conn)
        assert await cancelled(sleep_on_the_server(conn, 30)) < 2
        assert not watch.working()
        assert await abackend_pid(conn) == pid


@CASES.numbered(1)
async def it_fails_before_the_request_to_cancel_comes(watch: Watch) -> None:
    async def asked(raw: Any) -> bool:
        return True

    async def fail() -> None:
        async with conn.acursor() as cursor:
            await cursor.execute(
                "DO $$ BEGIN PERFORM pg_sleep(0.3); RAISE EXCEPTION 'own'; END $$"
            )

    async with new_connection() as conn:
        pid = await abackend_pid(conn)
        with mock.patch.object(cancellation, "_ask_to_cancel", asked):
            await cancelled(fail())
        assert await abackend_pid(conn) == pid


@CASES.numbered(1)
async def closed_while_it_is_being_cancelled(watch: Watch) -> None:
    """By another task: psycopg's operation must not touch what libpq has freed."""
    ask = cancellation._ask_to_cancel
    raws: list[Any] = []

    async def asked(raw: Any) -> bool:
        found = await ask(raw)
        raw.close()
        raws.append(raw)
        return found

    with mock.patch.object(cancellation, "_ask_to_cancel", asked):
        async with new_connection() as conn:
            await abackend_pid(conn)
            with mock.patch.object(cancellation, "_until_progress") as going_on:
                assert await cancelled(sleep_on_the_server(conn, 30)) < 2
            assert raws
            assert not going_on.called
            assert await Tag.objects.acount() == 0
    await watch.idle()


@CASES.numbered(1)
async def what_goes_on_later_does_not_after_it_was_closed(watch: Watch) -> None:
    def settle(conn: Any) -> None:
        raw = conn.connection
        arriving = raw._exec_command(b"SELECT pg_sleep(0.2)")
        wants = next(arriving)
        assert wants
        raw.close()
        with pytest.raises(OperationalError, match="is closed"):
            raw.wait(arriving, resumable=True)
        assert arriving.gi_frame is None

    async with new_connection() as conn:
        await abackend_pid(conn)
        await run_sync(settle, conn)


@CASES.numbered(1)
async def the_request_to_cancel_comes_first(watch: Watch) -> None:
    """It finds no statement to cancel; the one that comes later is cancelled."""
    async with through_proxy(watch) as proxy, new_connection() as conn:
        pid = await abackend_pid(conn)
        proxy.requests.stall_open()
        task = asyncio.ensure_future(sleep_on_the_server(conn, 30))
        await asyncio.sleep(0.05)
        task.cancel()
        async with asyncio.timeout(PATIENCE):
            while proxy.accepted < 1 + 2:  # it is repeated
                await asyncio.sleep(0.005)
        proxy.requests.resume()
        await asyncio.wait([task])
        assert task.cancelled()
        assert not watch.working()
        assert await abackend_pid(conn) == pid


@CASES.numbered(2)
async def cancelled_while_a_transaction_begins(watch: Watch) -> None:
    async with new_connection() as conn:
        for at in range(1, MOST):
            async with conn.acursor() as cursor:
                happened, _ = await broken_off(
                    lambda cursor=cursor: cursor.execute("BEGIN"), at, "cancel"
                )
                if not happened:
                    await cursor.execute("ROLLBACK")
            await Tag.objects.acreate(name=f"kept{at}")
            kept = "SELECT count(*) FROM testapp_tag WHERE name = %s"
            assert watch.value(kept, f"kept{at}"), "in a transaction that nobody ends"
            await watch.idle()
            if not happened:
                return
    raise AssertionError("the statement has no end")


@CASES.numbered(2)
async def cancelled_in_a_connection_hook(watch: Watch) -> None:
    def hook(connection: Any, **kwargs: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT pg_sleep(30)")

    async def use() -> None:
        async with new_connection():
            await Tag.objects.acount()

    with configured(OPTIONS=pool_options()):
        connection_created.connect(hook)
        try:
            assert await cancelled(use(), after=0.3) < 2
        finally:
            connection_created.disconnect(hook)
        await watch.idle()
        await pool_is_whole()


@CASES.numbered(3)
async def cancelled_in_commit(watch: Watch) -> None:
    called: list[int] = []

    async def use() -> None:
        async with new_connection() as conn:
            try:
                async with transaction.atomic():
                    await Tag.objects.acreate(name="unknown")
                    transaction.on_commit(lambda: called.append(1))
            finally:
                assert conn.connection is None

    with slow_commit(watch):
        assert await cancelled(use(), after=0.3) < 2
    await watch.gone()
    assert not called


@CASES.numbered(1)
async def cancelled_in_atomic_and_caught(watch: Watch) -> None:
    """What the server would roll back without a word is not a success."""
    async with new_connection() as conn:
        with pytest.raises(TransactionManagementError, match="broken off"):
            async with transaction.atomic():
                await Tag.objects.acreate(name="gone")
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await sleep_on_the_server(conn, 30)
        async with transaction.atomic():
            await Tag.objects.acreate(name="kept")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1), transaction.atomic():
                    await sleep_on_the_server(conn, 30)
            await Tag.objects.acreate(name="kept too")
    assert watch.value("SELECT count(*) FROM testapp_tag") == 2


@CASES.numbered(3)
async def a_childs_savepoint_is_broken_off(watch: Watch) -> None:
    """With the connection its parent's work is gone, and the parent learns of it."""

    async def child() -> None:
        async with transaction.atomic():
            await Tag.objects.acreate(name="child")
            proxy.answers.stall()

    with impatient():
        async with through_proxy(watch) as proxy, new_connection():
            with pytest.raises(TransactionManagementError, match="broken off"):
                async with transaction.atomic():
                    await Tag.objects.acreate(name="parent")
                    await cancelled(child(), after=0.2)
            proxy.heal()
            await Tag.objects.acreate(name="kept")
    assert watch.value("SELECT string_agg(name, ',') FROM testapp_tag") == "kept"


@CASES.numbered(4)
async def cancelled_in_rollback(watch: Watch) -> None:
    with impatient():
        async with through_proxy(watch, OPTIONS=pool_options()) as proxy:

            async def use() -> None:
                async with new_connection(), transaction.atomic():
                    await Tag.objects.acreate(name="gone")
                    proxy.answers.stall()
                    raise ValueError

            assert await cancelled(use(), after=0.5) < 2
            proxy.answers.resume()
            await watch.idle()
            await pool_is_whole()
            assert not watch.value("SELECT count(*) FROM testapp_tag")


@CASES.numbered(5)
async def cancelled_in_line_for_a_slot(watch: Watch) -> None:
    async def use() -> None:
        async with new_connection():
            await Tag.objects.acount()

    with configured(OPTIONS=pool_options(min_size=1, max_size=1)):
        async with new_connection():
            await Tag.objects.acount()
            assert await cancelled(use()) < 0.5
        await pool_is_whole()


@CASES.numbered(6)
async def cancelled_between_checkout_and_assignment(watch: Watch) -> None:
    async def use() -> None:
        async with new_connection() as conn:
            await conn.aensure_connection()

    await cancelled_at_every_await(use)


@CASES.numbered(7)
async def cancelled_in_the_pools_check(watch: Watch) -> None:
    async def use() -> None:
        async with new_connection():
            await Tag.objects.acount()

    options = pool_options(min_size=1, max_size=1)
    async with through_proxy(watch, OPTIONS=options, CONN_HEALTH_CHECKS=True) as proxy:
        await use()
        proxy.answers.stall()
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await use()
        assert time.monotonic() - began < PATIENCE
        proxy.answers.resume()
        await use()
        await pool_is_whole()


@CASES.numbered(8)
async def a_timeout_against_a_silent_server(watch: Watch) -> None:
    with impatient(0.5):
        async with through_proxy(watch) as proxy:
            async with new_connection() as conn:
                await Tag.objects.acount()
                proxy.answers.stall()
                began = time.monotonic()
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await Tag.objects.acount()
                assert time.monotonic() - began < PATIENCE
                assert conn.connection_lost()
            proxy.heal()
            async with new_connection():
                assert await Tag.objects.acount() == 0


@CASES.numbered(32)
async def a_middlebox_that_drops_packets(watch: Watch) -> None:
    with impatient(0.5):
        async with through_proxy(watch) as proxy:
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                async with new_connection(), transaction.atomic():
                    await Tag.objects.acreate(name="gone")
                    proxy.answers.mute_after(0)
                    proxy.requests.mute_after(0)
                    began = time.monotonic()
                    async with asyncio.timeout(0.1):
                        await Tag.objects.acount()
            assert time.monotonic() - began < PATIENCE
    await watch.idle()
    assert not watch.value("SELECT count(*) FROM testapp_tag")


@CASES.numbered(9)
async def cancelled_twice(watch: Watch) -> None:
    async with through_proxy(watch) as proxy, new_connection() as conn:
        await Tag.objects.acount()
        proxy.answers.stall()
        assert await cancelled(Tag.objects.acount(), again=0.1) < 0.5
        assert conn.connection_lost()


@CASES.numbered(9)
async def the_block_goes_on_after_its_connection_was_closed(watch: Watch) -> None:
    for options in ({}, pool_options()):
        async with through_proxy(watch, OPTIONS=options) as proxy, new_connection():
            await Tag.objects.acount()
            proxy.answers.stall()
            await cancelled(Tag.objects.acount(), again=0.1)
            proxy.heal()
            async with transaction.atomic():
                await Tag.objects.acreate(name=f"kept{len(options)}")
    assert watch.value("SELECT count(*) FROM testapp_tag") == 2


@CASES.numbered(33)
async def cancelled_at_every_await_of_the_cleanup(watch: Watch) -> None:
    async def use() -> None:
        async with new_connection(), transaction.atomic():
            async with transaction.atomic():
                await Tag.objects.acreate(name="new")
            raise ValueError

    with configured(OPTIONS=pool_options()):
        for at in range(1, MOST):
            try:
                await broken_off(use, at, "always")
            except ValueError:
                return
            await watch.idle()
            await pool_is_whole()
            assert not watch.value("SELECT count(*) FROM testapp_tag")
    raise AssertionError("the block has no end")


@CASES.numbered(29)
async def cancelled_entering_a_cursor(watch: Watch) -> None:
    async def use() -> None:
        async with new_connection() as conn, conn.acursor():
            pass

    await cancelled_at_every_await(use)


@pytest.mark.parametrize("name", CASES)
def test_failure(name: str, watch: Watch, pytestconfig: pytest.Config) -> None:
    CASES.run(name, watch, pytestconfig.option.loop)
