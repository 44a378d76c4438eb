"""A long statement of SQLite's gives the loop its turns, and ends when it is told."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
import weakref
from contextlib import closing
from contextvars import Context, ContextVar
from typing import Any

import pytest
from django.db import OperationalError, connections, transaction

from django_async_fast import async_connections, bridge, new_connection, run_sync
from django_async_fast.drivers.sqlite import progress, turns
from tests.support.every_await import HOWS
from tests.support.other_databases import names
from tests.support.sql import execute
from tests.support.transactions import SCENARIOS, Scenario, break_off_at_every_await
from tests.testapp.models import Tag

NUMBERS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s) "
)
COUNT = f"{NUMBERS} SELECT count(*) FROM n"
# Tags whose writing takes as many steps.
FILL = f"{NUMBERS} INSERT INTO testapp_tag (name) SELECT 'n' || i FROM n"
ENDLESS = 10**12


def count(alias: str, number: int) -> int:
    return int(execute(COUNT, [number], using=alias)[0][0])


async def test_who_had_no_slice_is_the_first_to_have_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, order = itertools.count(), []
    monkeypatch.setattr(turns, "perf_counter", lambda: next(clock))
    own = turns.Turns(asyncio.get_running_loop())

    def work(name: int) -> None:
        for _ in range(3):
            own.wait()
            order.append(name)

    names = range(turns.AT_ONCE + 2)
    await asyncio.gather(*[bridge.run(work, name) for name in names])
    assert order == [*names] * 3


async def test_the_loop_keeps_no_context_of_a_statement() -> None:
    class Kept:
        pass

    def begin(value: Kept) -> None:
        kept.set(value)
        turns.Turns(asyncio.get_running_loop()).begin()

    kept: ContextVar[Kept] = ContextVar("kept")
    value = Kept()
    gone = weakref.ref(value)
    Context().run(begin, value)
    del value
    assert gone() is None


class Ticks:
    """The turns of the loop, and the longest that the thread was at work without one."""

    def __init__(self) -> None:
        self.number = 0
        # In the thread's processor time: others use the machine, too.
        self.longest_at_work = 0.0

    async def __aenter__(self) -> Ticks:
        self._task = asyncio.create_task(self._tick())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._task.cancel()

    async def _tick(self) -> None:
        while True:
            at_work = time.thread_time()
            await asyncio.sleep(0)
            at_work = time.thread_time() - at_work
            self.longest_at_work = max(self.longest_at_work, at_work)
            self.number += 1


async def test_the_loop_goes_on(log: str) -> None:
    """Also while several are long: each has what the others leave, and is right."""

    async def one(number: int) -> int:
        async with new_connection(log):
            return await run_sync(count, log, number)

    numbers = range(200_000, 200_008)
    began = time.thread_time()
    async with Ticks() as ticks:
        assert await asyncio.gather(*map(one, numbers)) == [*numbers]
    took = time.thread_time() - began
    # A slice is a millisecond.
    assert ticks.number > took / 0.02
    assert ticks.longest_at_work < took / 5


# Some thousands of quick steps, and few that are slow: they copy large values.
LONG = {
    "steps": COUNT % 300_000,
    "scan": "SELECT count(*) FROM large, large AS other WHERE large.id <> other.id",
    "fetched": "SELECT * FROM large",
    "computed": "SELECT sum(length(hex(data))) FROM large",
}
FILL_LARGE = (
    f"{NUMBERS % 300} INSERT INTO large (data) SELECT randomblob(200000) FROM n"
)


@pytest.mark.parametrize("statement", LONG)
async def test_a_turn_comes_every_five_milliseconds(file: str, statement: str) -> None:
    """In one of five runs: others use the processor's caches, too."""

    def run(sql: str) -> None:
        execute(sql, using=file)

    async with new_connection(file):
        await run_sync(run, "CREATE TABLE large (id integer PRIMARY KEY, data blob)")
        await run_sync(run, FILL_LARGE)
        for _ in range(5):
            async with Ticks() as ticks:
                await run_sync(run, LONG[statement])
            assert ticks.number > 5
            if ticks.longest_at_work < 0.005:
                return
    raise AssertionError(f"{ticks.longest_at_work} s without a turn")


async def test_short_statements_let_the_loop_go_on(log: str) -> None:
    async with new_connection(log):
        async with Ticks() as ticks:
            end = time.perf_counter() + 0.2
            while time.perf_counter() < end:
                assert await names(log) == []
        assert ticks.number > 5


async def test_a_query_in_a_transaction_is_ended_alone(log: str) -> None:
    async with new_connection(log):
        async with transaction.atomic(using=log):
            await Tag.objects.using(log).acreate(name="a")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await run_sync(count, log, ENDLESS)
            await Tag.objects.using(log).acreate(name="b")
        assert await names(log) == ["a", "b"]


async def test_a_change_in_a_transaction_is_waited_for(log: str) -> None:
    """SQLite would roll back the transaction with it."""
    async with new_connection(log):
        async with transaction.atomic(using=log):
            await Tag.objects.using(log).acreate(name="a")
            await cancel_a_fill(log, 300_000)
        assert await Tag.objects.using(log).acount() == 300_001


async def fill(log: str, number: int) -> None:
    async with async_connections[log].acursor() as cursor:
        await cursor.execute(FILL, [number])


async def cancel_a_fill(log: str, number: int) -> None:
    filling = asyncio.create_task(fill(log, number))
    await asyncio.sleep(0.01)
    filling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await filling


@pytest.mark.parametrize("caught", [True, False])
async def test_a_transaction_is_lost_with_a_change_that_does_not_end(
    log: str, caught: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.05)
    expected = transaction.TransactionManagementError if caught else ZeroDivisionError
    async with new_connection(log) as conn:
        with pytest.raises(expected):
            async with transaction.atomic(using=log):
                await Tag.objects.using(log).acreate(name="a")
                before = conn.connection
                await cancel_a_fill(log, ENDLESS)
                assert before.closed
                if not caught:
                    raise ZeroDivisionError
        assert await names(log) == []


async def test_a_change_without_a_transaction_is_undone(log: str) -> None:
    async with new_connection(log):
        await cancel_a_fill(log, ENDLESS)
        assert await names(log) == []


async def test_a_coroutine_closed_at_work(log: str) -> None:
    async with new_connection(log) as conn:
        await names(log)
        filling = fill(log, ENDLESS)
        filling.send(None)
        filling.close()
        assert not conn.in_transaction()
        assert await names(log) == []


async def test_other_tasks_wait_for_the_connection(log: str) -> None:
    async with new_connection(log):
        counting = asyncio.create_task(run_sync(count, log, 300_000))
        await asyncio.sleep(0.005)
        assert not counting.done()
        assert await names(log) == []
        assert counting.done()


async def test_functions_of_the_projects(log: str) -> None:
    """They may ask their own connection, as without a block."""

    def ask(alias: str) -> list[Any]:
        raw = connections[alias].connection
        raw.create_function("own", 0, lambda: raw.execute("SELECT 7").fetchone()[0])
        raw.create_collation("backwards", lambda a, b: (a < b) - (a > b))
        Tag.objects.using(alias).create(name="a")
        Tag.objects.using(alias).create(name="b")
        with connections[alias].cursor() as cursor:
            cursor.execute(
                "SELECT name, own() FROM testapp_tag ORDER BY name COLLATE backwards"
            )
            return list(cursor)

    async with new_connection(log):
        await names(log)
        assert await run_sync(ask, log) == [("b", 7), ("a", 7)]
        found = Tag.objects.using(log).filter(name__iregex="^[AX]$")
        assert [tag.name async for tag in found] == ["a"]


async def test_a_progress_handler_of_the_projects(log: str) -> None:
    calls: list[int] = []

    def set_handler(alias: str, ends: bool) -> None:
        def handler() -> bool:
            calls.append(1)
            return ends

        connections[alias].connection.set_progress_handler(handler, 1)

    async with new_connection(log):
        await names(log)
        await run_sync(set_handler, log, False)
        async with Ticks() as ticks:
            assert await run_sync(count, log, 200_000) == 200_000
        assert calls
        assert ticks.number > 3
        await run_sync(set_handler, log, True)
        with pytest.raises(OperationalError, match="interrupted"):
            await run_sync(count, log, 200_000)


# ----- at every switch


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements are stopped all the time."""
    monkeypatch.setattr("django_async_fast.drivers.sqlite.turns.SLICE", 0.0)
    monkeypatch.setattr(progress, "FEWEST", 10)
    monkeypatch.setattr(progress, "MOST", 10)


@pytest.mark.usefixtures("often")
async def test_blocks_that_begin_and_end_while_others_are_stopped(log: str) -> None:
    """In a cache that they share SQLite lets one in, and would stop the thread."""
    tags = Tag.objects.using(log)

    async def one(number: int) -> int:
        async with new_connection(log):
            async for _ in tags.aiterator(10):
                break
            if number % 3 == 0:
                await tags.acreate(name=f"of {number}")
            return await tags.filter(name__startswith="n").acount()

    async with new_connection(log):
        await fill(log, 100)
        assert await asyncio.gather(*map(one, range(9))) == [100] * 9
        assert await tags.acount() == 103


async def count_beside(alias: str) -> Any:
    """Count 30,000 numbers for each tag, in a block of its own."""
    both = f"{NUMBERS} SELECT count(*) FROM n, testapp_tag"
    async with new_connection(alias):
        return await run_sync(execute, both, [30_000], using=alias)


async def test_a_copy_that_is_made_while_another_block_is_stopped(log: str) -> None:
    def copy(alias: str) -> int:
        raw = connections[alias].connection
        with closing(sqlite3.connect(":memory:")) as other:
            raw.backup(other)
            return len(other.execute("SELECT * FROM testapp_tag").fetchall())

    async with new_connection(log):
        await fill(log, 100)
        counting = asyncio.create_task(count_beside(log))
        await asyncio.sleep(0.005)
        assert not counting.done()
        assert await run_sync(copy, log) == 100
        assert await counting == [(3_000_000,)]


@pytest.mark.parametrize("closes", [False, True])
async def test_a_cursor_that_is_forgotten_while_another_block_is_stopped(
    log: str, closes: bool
) -> None:
    """It has rows left, and nobody closes it."""

    def unread(alias: str) -> Any:
        connections[alias].ensure_connection()
        return connections[alias].connection.execute("SELECT * FROM testapp_tag")

    async with new_connection(log) as conn:
        await fill(log, 100)
        cursor = await run_sync(unread, log)
        counting = asyncio.create_task(count_beside(log))
        await asyncio.sleep(0.005)
        assert not counting.done()
        if closes:
            conn.connection.close()
        del cursor
        assert await counting == [(3_000_000,)]
        assert len(await names(log)) == 100


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.usefixtures("often")
async def test_broken_off_at_every_switch(
    log: str, scenario: Scenario, how: str
) -> None:
    await break_off_at_every_await(log, scenario, how)
