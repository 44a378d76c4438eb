"""What goes wrong in production, one at a time, and what must then be true."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from django.db import (
    DataError,
    InterfaceError,
    OperationalError,
    connections,
    transaction,
)
from django.db.backends.signals import connection_created
from django.db.models import F
from django.db.transaction import TransactionManagementError

from django_async_fast import new_connection, run_sync
from django_async_fast.drivers.psycopg import cancellation
from tests.support.backend_pids import abackend_pid
from tests.support.cancelling import cancelled, tag_in_atomic
from tests.testapp.models import Author, Tag, Unique

from .conftest import (
    POOL_SIZE,
    Watch,
    configured,
    pool_is_whole,
    pool_options,
    the_pool,
    through_proxy,
)
from .every_await import MOST, broken_off, listening, run

# Less than what is to be left out: psycopg's two waits of five seconds, a statement that
# sleeps for thirty. A busy machine needs more than the fraction of a second that is due.
PATIENCE = 8.0

Case = Callable[[Watch], Any]
CASES: dict[str, Case] = {}


def row(number: int) -> Callable[[Case], Case]:
    def register(case: Case) -> Case:
        CASES[f"F{number}-{case.__name__}"] = case
        return case

    return register


# ----- helpers


async def sleep_on_the_server(conn: Any, seconds: float) -> None:
    async with conn.acursor() as cursor:
        await cursor.execute("SELECT pg_sleep(%s)", [seconds])


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


# ----- cancellation


@row(1)
async def cancelled_in_a_query(watch: Watch) -> None:
    async with new_connection() as conn:
        pid = await abackend_pid(conn)
        assert await cancelled(sleep_on_the_server(conn, 30)) < 2
        assert not watch.working()
        assert await abackend_pid(conn) == pid


@row(1)
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


@row(2)
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


@row(2)
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


@row(3)
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


@row(1)
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


@row(3)
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


@row(4)
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


@row(5)
async def cancelled_in_line_for_a_slot(watch: Watch) -> None:
    async def use() -> None:
        async with new_connection():
            await Tag.objects.acount()

    with configured(OPTIONS=pool_options(min_size=1, max_size=1)):
        async with new_connection():
            await Tag.objects.acount()
            assert await cancelled(use()) < 0.5
        await pool_is_whole()


async def cancelled_at_every_await(use: Callable[[], Any]) -> None:
    with configured(OPTIONS=pool_options()):
        await use()
        for at in range(1, MOST):
            happened, _ = await broken_off(use, at, "cancel")
            await pool_is_whole()
            if not happened:
                return


@row(6)
async def cancelled_between_checkout_and_assignment(watch: Watch) -> None:
    async def use() -> None:
        async with new_connection() as conn:
            await conn.aensure_connection()

    await cancelled_at_every_await(use)


@row(7)
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


@row(8)
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


@row(32)
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


@row(9)
async def cancelled_twice(watch: Watch) -> None:
    async with through_proxy(watch) as proxy, new_connection() as conn:
        await Tag.objects.acount()
        proxy.answers.stall()
        assert await cancelled(Tag.objects.acount(), again=0.1) < 0.5
        assert conn.connection_lost()


@row(9)
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


@row(33)
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


# ----- streams


async def _fill(count: int) -> None:
    async with new_connection():
        await Author.objects.abulk_create(Author(name=str(i)) for i in range(count))


@row(10)
async def a_stream_left_half_way(watch: Watch) -> None:
    await _fill(20)
    async with new_connection() as conn:
        for leave_by in ("break", "raise", "aclose"):
            rows = Author.objects.aiterator(chunk_size=3)
            with contextlib.suppress(ValueError):
                async for _ in rows:
                    if leave_by == "raise":
                        raise ValueError
                    break
            if leave_by == "aclose":
                await rows.aclose()
            del rows
            async with conn.acursor() as cursor:
                await cursor.execute("SELECT count(*) FROM pg_cursors")
                assert await cursor.fetchone() == (0,), leave_by
        await watch.idle()


@row(10)
async def a_chunk_in_flight_is_not_lost_with_anothers_statement(watch: Watch) -> None:
    await _fill(30)
    async with through_proxy(watch) as proxy, new_connection():
        seen = []
        rows = Author.objects.order_by("pk").aiterator(chunk_size=10)
        async for author in rows:
            seen.append(author.name)
            if len(seen) == 5:
                # Whoever comes has to take in the second chunk first.
                proxy.answers.delay = 0.2
                assert await cancelled(Tag.objects.acount(), after=0.05) < 0.1
                proxy.answers.delay = 0
        assert seen == [str(i) for i in range(30)]


@row(10)
async def a_stream_dropped_in_a_later_transaction(watch: Watch) -> None:
    await _fill(20)
    async with new_connection():
        async with transaction.atomic():
            rows = Author.objects.aiterator(chunk_size=3)
            await anext(rows)
        async with transaction.atomic():
            await Tag.objects.acreate(name="kept")
            del rows  # its cursor has ended with the first transaction
            await Tag.objects.acreate(name="kept too")
    assert watch.value("SELECT count(*) FROM testapp_tag") == 2


@row(12)
async def the_backend_is_killed_in_a_stream(watch: Watch) -> None:
    await _fill(50)
    with configured(OPTIONS=pool_options()):
        began = time.monotonic()
        with pytest.raises(OperationalError):
            async with new_connection() as conn:
                pid = await abackend_pid(conn)
                async for _ in Author.objects.aiterator(chunk_size=5):
                    watch.terminate(pid)
                    await asyncio.sleep(0.02)
        assert time.monotonic() - began < PATIENCE
        await pool_is_whole()


# ----- the server goes away


@row(13)
async def killed_in_a_transaction(watch: Watch) -> None:
    """The error on its way arrives, and nobody connects again to roll back."""
    async with through_proxy(watch) as proxy:
        async with new_connection():
            with pytest.raises(ValueError, match="ours"):
                async with transaction.atomic():
                    async with transaction.atomic():
                        await Tag.objects.acreate(name="gone")
                    proxy.cut()
                    await asyncio.sleep(0.05)
                    raise ValueError("ours")
            assert proxy.accepted == 1
            assert await Tag.objects.acount() == 0
        with pytest.raises(OperationalError):
            async with new_connection(), transaction.atomic():
                await Tag.objects.acreate(name="gone")
                proxy.cut()
                await asyncio.sleep(0.05)
    assert not watch.value("SELECT count(*) FROM testapp_tag")


# ----- tasks


@row(17)
async def gather_on_one_connection(watch: Watch) -> None:
    async def increment() -> None:
        async with transaction.atomic():
            one = await Unique.objects.aget(key="counter")
            await asyncio.sleep(0)
            one.value += 1
            await one.asave()

    async with new_connection():
        await Unique.objects.acreate(key="counter")
        await asyncio.gather(*(increment() for _ in range(10)))
        assert (await Unique.objects.aget()).value == 10


@row(18)
async def a_siblings_write_after_the_rollback(watch: Watch) -> None:
    async def fails() -> None:
        await asyncio.sleep(0.02)
        raise ValueError

    async def writes_late() -> None:
        await asyncio.sleep(0.1)
        await Tag.objects.acreate(name="late")

    async with new_connection():
        late = None
        with pytest.raises(ValueError):
            async with transaction.atomic():
                late = asyncio.ensure_future(writes_late())
                await asyncio.gather(fails(), late)
        assert late is not None
        with pytest.raises(TransactionManagementError, match="has ended"):
            await late
        assert await Tag.objects.acount() == 0


@row(19)
async def savepoints_of_siblings(watch: Watch) -> None:
    async def work(number: int) -> None:
        async with transaction.atomic():
            await Tag.objects.acreate(name=f"{number}a")
            await asyncio.sleep(0.001 * (number % 3))
            await Tag.objects.acreate(name=f"{number}b")
            if number % 2:
                raise ValueError

    async with new_connection():
        async with transaction.atomic():
            await asyncio.gather(*map(work, range(6)), return_exceptions=True)
        names = [tag.name async for tag in Tag.objects.order_by("name")]
        assert names == ["0a", "0b", "2a", "2b", "4a", "4b"]


@row(19)
async def cut_off_by_its_parent(watch: Watch) -> None:
    """The parent may not wait for a child's savepoint: the connection goes on."""
    inside = asyncio.Event()

    async def parent() -> None:
        async with transaction.atomic():
            children.append(asyncio.create_task(tag_in_atomic("gone", inside)))
            await inside.wait()

    children: list[asyncio.Task[None]] = []
    async with new_connection():
        assert await Tag.objects.acount() == 0  # to connect may take longer than that
        assert await cancelled(parent()) < 0.5
        assert await Tag.objects.acount() == 0
        assert await cancelled(children[0], after=0) < 0.5
        await Tag.objects.acreate(name="kept")
    assert watch.value("SELECT string_agg(name, ',') FROM testapp_tag") == "kept"


@row(20)
async def a_task_outlives_its_block(watch: Watch) -> None:
    async def late() -> None:
        await asyncio.sleep(0.05)
        await Tag.objects.acreate(name="late")

    async with new_connection():
        await Tag.objects.acount()
        task = asyncio.create_task(late())
    with pytest.raises(InterfaceError, match="has ended"):
        await task
    assert not watch.value("SELECT count(*) FROM testapp_tag")


@row(20)
async def a_task_connects_when_its_block_ends(watch: Watch) -> None:
    async with through_proxy(watch) as proxy:
        proxy.answers.delay = 0.1
        async with new_connection():
            task = asyncio.create_task(Tag.objects.acount())
            await asyncio.sleep(0.05)
        with contextlib.suppress(InterfaceError):
            await task
        await watch.gone()


@row(21)
async def opened_in_a_child_task(watch: Watch) -> None:
    async with new_connection():
        await asyncio.create_task(Tag.objects.acount())
        assert len(watch.sessions()) == 1
        await Tag.objects.acount()
        assert len(watch.sessions()) == 1
    await watch.gone()


@row(30)
async def two_tasks_connect_first(watch: Watch) -> None:
    for options in ({}, pool_options()):
        with configured(OPTIONS=options):
            async with new_connection() as conn:
                pids = await asyncio.gather(*(abackend_pid(conn) for _ in range(5)))
                assert len(set(pids)) == 1
            async with new_connection(force_rollback=True):
                await asyncio.gather(
                    *(Tag.objects.acreate(name=str(i)) for i in range(5))
                )
            assert not watch.value("SELECT count(*) FROM testapp_tag")
            await watch.idle()


@row(30)
async def the_first_of_two_is_cancelled_connecting(watch: Watch) -> None:
    async with through_proxy(watch) as proxy, new_connection():
        proxy.answers.delay = 0.05
        first = asyncio.ensure_future(Tag.objects.acount())
        await asyncio.sleep(0.01)
        second = asyncio.ensure_future(Tag.objects.acount())
        assert await cancelled(first, after=0.03) < 0.5
        assert await second == 0
        assert len(watch.sessions()) == 1


# ----- the pool


@row(24)
async def the_pool_is_exhausted(watch: Watch) -> None:
    order: list[int] = []

    async def use(number: int) -> None:
        async with new_connection():
            await Tag.objects.acount()
            order.append(number)

    with configured(OPTIONS=pool_options(min_size=1, max_size=1, timeout=0.5)):
        async with new_connection():
            await Tag.objects.acount()
            began = time.monotonic()
            with pytest.raises(OperationalError, match="all 1 of at most 1"):
                async with new_connection():
                    await Tag.objects.acount()
            assert 0.4 < time.monotonic() - began < PATIENCE
            the_pool().timeout = 60  # those that follow are served, however slowly
            waiting = []
            for number in range(4):
                waiting.append(asyncio.ensure_future(use(number)))
                await asyncio.sleep(0.01)
        await asyncio.gather(*waiting)
        assert order == [0, 1, 2, 3]
        await pool_is_whole()


@row(25)
async def nested_blocks_in_a_pool_too_small(watch: Watch) -> None:
    async def use() -> None:
        async with new_connection():
            await Tag.objects.acount()
            await each_has_one.wait()
            async with new_connection():
                await Tag.objects.acount()

    each_has_one = asyncio.Barrier(POOL_SIZE)
    with configured(OPTIONS=pool_options(timeout=0.5)):
        async with asyncio.timeout(PATIENCE):
            results = await asyncio.gather(
                *(use() for _ in range(POOL_SIZE)), return_exceptions=True
            )
        # The first to give up frees the slot that another one needs.
        failed = [result for result in results if result is not None]
        assert failed
        for each in failed:
            assert isinstance(each, OperationalError)
            assert "nested blocks need one each" in str(each)
        await pool_is_whole()


# ----- the server says no


@row(26)
async def statement_timeout_in_atomic(watch: Watch) -> None:
    async with new_connection() as conn:
        with pytest.raises(ValueError, match="ours"):
            async with transaction.atomic():
                async with conn.acursor() as cursor:
                    await cursor.execute("SET LOCAL statement_timeout = '50ms'")
                with pytest.raises(OperationalError):
                    async with transaction.atomic(savepoint=False):
                        await sleep_on_the_server(conn, 5)
                with pytest.raises(TransactionManagementError):
                    await Tag.objects.acount()
                raise ValueError("ours")
        assert await Tag.objects.acount() == 0
        await watch.idle()


@row(26)
async def an_error_of_the_data(watch: Watch) -> None:
    async with new_connection():
        with pytest.raises(DataError):
            async with transaction.atomic():
                await Unique.objects.acreate(key="x")
                await Unique.objects.aupdate(value=F("value") / 0)
        assert await Unique.objects.acount() == 0
        await watch.idle()


@row(29)
async def cancelled_entering_a_cursor(watch: Watch) -> None:
    async def use() -> None:
        async with new_connection() as conn, conn.acursor():
            pass

    await cancelled_at_every_await(use)


@pytest.mark.parametrize("name", CASES)
def test_failure(name: str, watch: Watch, pytestconfig: pytest.Config) -> None:
    with configured():
        run(pytestconfig.option.loop, CASES[name](watch))


# ----- what needs loops, threads or processes of its own


async def _use(watch: Watch) -> None:
    async with new_connection():
        await Tag.objects.acount()


def test_f11_a_stream_is_left_to_the_end_of_the_loop(watch: Watch) -> None:
    kept = []

    async def main() -> None:
        await _fill(20)
        block = new_connection()
        await block.__aenter__()
        rows = Author.objects.aiterator(chunk_size=3)
        await anext(rows)
        kept.append(rows)
        await block.__aexit__(None, None, None)

    with configured(OPTIONS=pool_options()), listening() as noise:
        asyncio.run(main())
        asyncio.run(watch.gone())
        kept.clear()
        noise.check()


def test_f14_the_loop_is_closed_with_connections_open(watch: Watch) -> None:
    async def main() -> None:
        block = new_connection()
        await block.__aenter__()
        await Tag.objects.acount()

    with configured(), listening() as noise:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        loop.close()
        del loop
        with contextlib.suppress(AssertionError):
            noise.check()
        assert all("ResourceWarning" in heard for heard in noise.heard), noise.heard
        assert noise.heard
        asyncio.run(watch.gone())


def test_f14_a_pools_sockets_end_with_the_loop(watch: Watch) -> None:
    from django_async_fast.pool import loop_pool

    with configured(OPTIONS=pool_options()), listening() as noise:
        asyncio.run(_use(watch))
        assert not loop_pool._pools
        asyncio.run(watch.gone())
        noise.check()


def test_f15_a_pool_for_each_loop(watch: Watch) -> None:
    seen: dict[int, set[int]] = {}
    barrier = threading.Barrier(2, timeout=10)

    async def main() -> None:
        await _use(watch)
        await pool_is_whole()
        mine = seen[threading.get_ident()] = set()
        for _ in range(5):
            async with new_connection() as conn:
                mine.add(await abackend_pid(conn))
        assert the_pool().get_stats()["pool_size"] == POOL_SIZE
        barrier.wait()  # both loops are alive until here

    with configured(OPTIONS=pool_options()):
        threads = [threading.Thread(target=asyncio.run, args=[main()]) for _ in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    first, second = seen.values()
    assert not first & second


def test_f28_an_interrupt_while_synchronous_code_runs(watch: Watch) -> None:
    def interrupted() -> None:
        with transaction.atomic():
            Tag.objects.create(name="gone")
            raise KeyboardInterrupt

    async def main() -> None:
        async with new_connection():
            await run_sync(interrupted)

    with configured(OPTIONS=pool_options()), listening() as noise:
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(main())
        asyncio.run(watch.gone())
        noise.check()
    assert not watch.value("SELECT count(*) FROM testapp_tag")


def test_f28_ctrl_c_while_the_server_works(watch: Watch) -> None:
    async def main() -> None:
        async with new_connection() as conn:
            await sleep_on_the_server(conn, 30)

    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    with configured(), listening() as noise:
        timer.start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(main())
        assert time.monotonic() - began < PATIENCE
        asyncio.run(watch.gone())
        noise.check()


def test_the_settings_are_as_before() -> None:
    assert "application_name" not in connections.settings["default"]["OPTIONS"]
