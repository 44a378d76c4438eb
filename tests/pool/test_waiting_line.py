"""The line for a connection: psycopg's own, in which our tasks stand."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import count
from types import FrameType
from typing import Any

import pytest
from django.db import OperationalError

from django_async_fast import new_connection
from django_async_fast.bridge.frames import waiting_frames
from django_async_fast.pool import fast_checkout, loop_pool
from django_async_fast.pool.waiting_client import WaitingClient
from tests.support.configured import configured, pool_is_whole, pool_options, the_pool
from tests.support.until import until

pytestmark = pytest.mark.core

ALIAS = "pooled"


@asynccontextmanager
async def a_pool(size: int = 1, **options: Any) -> AsyncIterator[Any]:
    """Open the alias's pool with `size` connections; at the end it must be whole."""
    sizes = {"min_size": size, "max_size": size, **options}
    with configured(ALIAS, OPTIONS=pool_options(**sizes)):
        await use()
        yield the_pool(ALIAS)
        await pool_is_whole(ALIAS)


@asynccontextmanager
async def an_empty_pool(**options: Any) -> AsyncIterator[tuple[Any, "Holder"]]:
    """Yield a pool whose only connection is taken, and who has it."""
    async with a_pool(**options) as theirs:
        holder = Holder()
        await until(lambda: holder.connection)
        yield theirs, holder
        await holder.leave()


async def use() -> None:
    async with new_connection(ALIAS) as conn:
        await conn.aensure_connection()


class Holder:
    """A task that has a connection, or waits for one, until it is told to let go."""

    def __init__(self, arrived: list[str] | None = None, name: str = "") -> None:
        self.go = asyncio.Event()
        self.arrived = [] if arrived is None else arrived
        self.name = name
        self.connection: Any = None
        self.task = asyncio.create_task(self.hold())

    async def hold(self) -> None:
        async with new_connection(ALIAS) as conn:
            await conn.aensure_connection()
            self.connection = conn.connection
            self.arrived.append(self.name)
            await self.go.wait()

    async def leave(self) -> None:
        self.go.set()
        await self.task

    async def cancel(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def in_line(theirs: Any, count: int) -> None:
    """Wait until so many wait: a task of psycopg's own needs a few turns."""
    async with asyncio.timeout(20):
        while len(theirs._waiting) != count:
            await asyncio.sleep(0)


async def test_first_come_first_served_among_psycopgs_own() -> None:
    async with an_empty_pool() as (theirs, holder):
        arrived: list[str] = []

        async def psycopgs() -> None:
            session = await theirs.getconn()
            arrived.append("b")
            await theirs.putconn(session)

        a = Holder(arrived, "a")
        await in_line(theirs, 1)
        b = asyncio.create_task(psycopgs())
        await in_line(theirs, 2)
        c, d = Holder(arrived, "c"), Holder(arrived, "d")
        await in_line(theirs, 4)
        kinds = [type(each) is WaitingClient for each in theirs._waiting]
        assert kinds == [True, False, True, True]
        for each in (holder, a, c, d):
            await each.leave()
        await b
        assert arrived == ["a", "b", "c", "d"]


def frames_in_line() -> list[int]:
    """Return how many frames of each call that waits on this loop can be seen."""
    found = []
    for frame in waiting_frames(asyncio.get_running_loop()):
        found.append(0)
        inner: FrameType | None = frame
        while inner is not None:
            found[-1] += 1
            inner = inner.f_back
    return found


@pytest.mark.skipif(sys.version_info < (3, 13), reason="its frames have objects")
async def test_what_stands_in_line_has_no_objects_for_its_frames(
    settings_override: Any,
) -> None:
    async with an_empty_pool() as (theirs, _):
        for watch, few in (None, True), (60.0, False):
            settings_override(DJANGO_ASYNC_FAST={"STALL_WATCH": watch})
            waits = Holder()
            await in_line(theirs, 1)
            (seen,) = frames_in_line()
            assert (seen == 1) is few
            waits.task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await waits.task
            # When it goes on, it is as if they had been there.
            names = [each.frame.code.name for each in caught.traceback]
            assert "checkout" in names


async def test_a_connection_goes_over_at_once() -> None:
    """It is nowhere in between, where a newcomer could take it."""
    async with an_empty_pool() as (theirs, holder):
        first = Holder()
        await in_line(theirs, 1)
        session = holder.connection.session
        holder.go.set()
        while theirs._waiting:
            assert not theirs._pool
            await asyncio.sleep(0)
        assert not theirs._pool
        await use_fails_to_overtake(theirs, first)
        assert first.connection.session is session
        assert session._pool is theirs
        await first.leave()


async def use_fails_to_overtake(theirs: Any, first: Holder) -> None:
    newcomer = Holder()
    await in_line(theirs, 1)
    assert first.connection is not None
    assert newcomer.connection is None
    await newcomer.cancel()


# ----- as psycopg does it: the same scenario through its own queue


async def timed_out(theirs: Any, seconds: float = 0.05) -> str:
    theirs.timeout = seconds
    with pytest.raises(OperationalError) as caught:
        await use()
    return str(caught.value).partition(" and ")[0]


async def turned_away(theirs: Any) -> str:
    theirs.max_waiting = 1
    waiting = Holder()
    await in_line(theirs, 1)
    with pytest.raises(OperationalError) as caught:
        await use()
    await waiting.cancel()
    await turns()  # before CPython 3.12 psycopg's own task hears of it later
    return str(caught.value).replace(theirs.name, "it")


async def cancelled(theirs: Any) -> str:
    waiting = Holder()
    await in_line(theirs, 1)
    await waiting.cancel()
    await turns()  # before CPython 3.12 psycopg's own task hears of it later
    return str(waiting.task.cancelled())


async def no_time(theirs: Any) -> str:
    return await timed_out(theirs, 0.0)


@pytest.mark.parametrize("scenario", [timed_out, turned_away, cancelled, no_time])
async def test_errors_and_figures_are_psycopgs(
    scenario: Callable[[Any], Awaitable[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for known in (False, True):
        monkeypatch.setattr(fast_checkout, "KNOWN_RELEASE", known)
        async with an_empty_pool() as (theirs, _):
            theirs.pop_stats()
            said = await scenario(theirs)
            figures = theirs.pop_stats()
            theirs.max_waiting, theirs.timeout = 0, 10.0
        loop_pool._forget(
            next(iter(loop_pool._pools[asyncio.get_running_loop()].values()))
        )
        await theirs.close()
        waited = figures.pop("requests_wait_ms", None)
        figures.pop("requests_waiting")  # psycopg counts those who have left
        seen.append((said, figures, waited is not None, (waited or 0) >= 40))
    assert seen[0] == seen[1]


async def test_the_wait_is_counted() -> None:
    async with an_empty_pool() as (theirs, holder):
        theirs.pop_stats()
        waiting = Holder()
        await in_line(theirs, 1)
        assert theirs.get_stats()["requests_waiting"] == 1
        await asyncio.sleep(0.05)
        await holder.leave()
        await waiting.leave()
        figures = theirs.get_stats()
        assert figures["requests_num"] == figures["requests_queued"] == 1
        assert 40 <= figures["requests_wait_ms"] < 5_000
        assert "requests_errors" not in figures


async def test_each_gives_up_in_its_own_time() -> None:
    async with an_empty_pool() as (theirs, _):
        times = {"long": 10.0, "short": 0.1, "longer": 0.2}
        tasks = {}
        for name, theirs.timeout in times.items():
            tasks[name] = Holder().task
            await in_line(theirs, len(tasks))
        line = next(iter(loop_pool._pools[asyncio.get_running_loop()].values())).line
        assert line.timer is not None
        await asyncio.wait([tasks["short"]], timeout=5)
        assert not tasks["longer"].done()
        await asyncio.wait([tasks["longer"]], timeout=5)
        assert "0.10 sec" in str(tasks["short"].exception())
        assert "0.20 sec" in str(tasks["longer"].exception())
        assert not tasks["long"].done()
        await in_line(theirs, 1)
        tasks["long"].cancel()
        await asyncio.wait([tasks["long"]])


# ----- who else brings a connection, or none


async def test_the_pool_grows_for_those_in_line() -> None:
    async with a_pool(1, max_size=3) as theirs:
        holders = [Holder() for _ in range(3)]
        await until(lambda: all(each.connection for each in holders))
        assert theirs.get_stats()["pool_size"] == 3
        fourth = Holder()
        await in_line(theirs, 1)
        assert theirs.get_stats()["pool_size"] == 3
        for each in (*holders, fourth):
            await each.leave()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda session, theirs: session.drop(),
        lambda session, theirs: setattr(session, "_expire_at", 0.0),
        lambda session, theirs: setattr(theirs, "_drained_at", session._created_at),
    ],
    ids=["broken", "expired", "drained"],
)
async def test_another_in_the_place_of_a_bad_one(
    spoil: Callable[[Any, Any], None],
) -> None:
    async with an_empty_pool() as (theirs, holder):
        waiting = [Holder(), Holder()]
        await in_line(theirs, 2)
        bad = holder.connection.session
        spoil(bad, theirs)
        await holder.leave()
        await until(lambda: waiting[0].connection)
        assert waiting[0].connection.session is not bad
        assert waiting[1].connection is None
        for each in waiting:
            await each.leave()


async def test_after_a_reset() -> None:
    reset: list[Any] = []

    async def note(connection: Any) -> None:
        reset.append(connection)

    async with an_empty_pool(reset=note) as (_, holder):
        waiting = Holder()
        await turns()
        session = holder.connection.session
        await holder.leave()
        await until(lambda: waiting.connection)
        assert waiting.connection.session is session
        assert reset.count(session) >= 2
        await waiting.leave()


async def test_a_closed_pool_lets_nobody_wait() -> None:
    with configured(ALIAS, OPTIONS=pool_options(min_size=1, max_size=1)):
        holder = Holder()
        await until(lambda: holder.connection)
        waiting = [Holder() for _ in range(3)]
        theirs = the_pool(ALIAS)
        await in_line(theirs, 3)
        waiting[1].task.cancel()
        await theirs.close()
        await asyncio.wait([each.task for each in waiting], timeout=5)
        assert waiting[1].task.cancelled()
        for each in (waiting[0], waiting[2]):
            assert "is closed" in str(each.task.exception())
        await holder.leave()
        assert holder.connection.closed
        assert not theirs._pool


# ----- broken off


@pytest.mark.parametrize("followed", [True, False])
async def test_cancelled_with_the_connection_in_hand(followed: bool) -> None:
    async with a_pool() as theirs:
        session = fast_checkout.take(theirs)
        assert session is not None
        first = Holder()
        await in_line(theirs, 1)
        second = Holder() if followed else None
        await in_line(theirs, 1 + followed)
        assert fast_checkout.give(theirs, session)
        await first.cancel()
        assert first.task.cancelled()
        assert first.connection is None
        if second is not None:
            await until(lambda: second.connection)
            assert second.connection.session is session
            await second.leave()


async def test_those_who_have_left_are_passed_over() -> None:
    async with an_empty_pool() as (theirs, holder):
        leaving, staying = [Holder() for _ in range(5)], Holder()
        await in_line(theirs, 6)
        # Cancelled, and not yet awake to leave the line.
        holder.go.set()
        for each in leaving:
            each.task.cancel()
        await until(lambda: staying.connection)
        await asyncio.wait([each.task for each in leaving])
        await staying.leave()


async def test_a_cancelled_one_keeps_no_place() -> None:
    async with an_empty_pool() as (theirs, _):
        for _ in range(3):
            waiting = Holder()
            await in_line(theirs, 1)
            await waiting.cancel()
            assert not theirs._waiting


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_is_cancelled_the_pool_is_whole(seed: int) -> None:
    """Some tasks are never cancelled and all end; the others work until they are."""
    chance = random.Random(seed)
    out: set[int] = set()

    async def work(rounds: Iterable[int]) -> None:
        for _ in rounds:
            async with new_connection(ALIAS) as conn:
                await conn.aensure_connection()
                mine = id(conn.connection.session)
                assert mine not in out, "given twice"
                out.add(mine)
                try:
                    for _ in range(chance.randrange(3)):
                        await asyncio.sleep(0)
                    if chance.random() < 0.02:
                        conn.connection.session.drop()
                finally:
                    out.discard(mine)

    async with a_pool(2, max_size=4, timeout=60) as theirs:
        tasks = [
            asyncio.create_task(work(range(10) if number % 2 else count()))
            for number in range(40)
        ]
        victims, others = tasks[::2], tasks[1::2]
        chance.shuffle(victims)
        left = [*victims]
        while not all(task.done() for task in others):
            if left and chance.random() < 0.1:
                left.pop().cancel()
            await asyncio.sleep(0)
        for task in left:
            task.cancel()
        await asyncio.gather(*others)
        ends = await asyncio.gather(*victims, return_exceptions=True)
        assert {type(each) for each in ends} == {asyncio.CancelledError}
        assert not theirs._waiting
