"""Reads of several tasks that go as one pipeline, and what fails meanwhile."""

import asyncio
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import psycopg
import pytest
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    connection,
)

from django_async_fast import _native, bridge, new_connection, run_sync
from django_async_fast.drivers.psycopg import read_pipelines
from django_async_fast.drivers.psycopg.due_statements import PIPELINES
from django_async_fast.drivers.psycopg.read_pipelines import JoinedRead, ReadPipeline
from django_async_fast.tasks.gate_errors import ScopeTimeout
from django_async_fast.tasks.gates import Gate
from tests.support.configured import (
    POOL_SIZE,
    configured,
    pool_is_whole,
    pool_options,
)
from tests.support.every_await import HOWS, MOST, Closed, Steps, run
from tests.support.until import until
from tests.testapp.models import Author, Tag, Unique

from .conftest import Watch, connected
from .reading_together import TASKS, ends, fill, read, read_all

# None before Python 3.12.
EAGER = getattr(asyncio, "eager_task_factory", None)

pytestmark = [
    pytest.mark.core,
    pytest.mark.skipif(not PIPELINES, reason="libpq has no pipelines"),
]


async def test_an_error_is_of_one_only(sent: list[int]) -> None:
    async def match(pattern: str) -> int:
        return await Author.objects.filter(name__regex=pattern).acount()

    await fill()
    async with new_connection():
        for _ in range(3):
            await match("^[0-3]$")
        found = await ends([match(each) for each in ("1", "0", "(", "[0-3]", "(", "5")])
        assert [found[i] for i in (0, 1, 3, 5)] == [1, 1, 4, 1]
        assert all(isinstance(found[i], DatabaseError) for i in (2, 4))
        assert found[2] is not found[4]
        assert "regular expression" in str(found[4])
        assert await match("[0-3]") == 4
        assert not connection.in_atomic_block
    assert sent == [5]


async def test_a_session_that_was_killed_before(watch: Watch, sent: list[int]) -> None:
    def kill() -> None:
        pid = Author.objects.count() and connection.connection.info.backend_pid
        watch.terminate(pid)
        while any(pid in session for session in watch.sessions()):
            time.sleep(0.01)
        time.sleep(0.1)  # its socket is closed, too

    await fill()
    async with new_connection():
        await read(0)
        found = await ends([asyncio.create_task(run_sync(kill)), *map(read, range(3))])
        assert {type(each) for each in found[1:]} == {OperationalError}, found
        assert not any("pipeline" in str(each) for each in found[1:])
        assert await read(1) == "1"
    assert sent == [3]


async def test_a_connection_lost_behind_an_answer(
    monkeypatch: pytest.MonkeyPatch, sent: list[int]
) -> None:
    def fetch(pgconn: Any) -> Any:
        fetched.append(pgconn)
        if len(fetched) == 3:  # after an answer, and that of its Sync
            raise psycopg.OperationalError("lost")
        return fetch_many(pgconn)

    fetched: list[Any] = []
    fetch_many = read_pipelines.fetch_many
    await fill()
    async with new_connection():
        monkeypatch.setattr(read_pipelines, "fetch_many", fetch)
        found = await ends([asyncio.create_task(read(i)) for i in range(4)])
        assert found[0] == "0"
        assert {type(each) for each in found[1:]} == {OperationalError}, found
    assert sent == [3]


async def test_a_session_that_is_killed(watch: Watch, sent: list[int]) -> None:
    await fill()
    with configured(OPTIONS=pool_options()):
        async with new_connection() as conn:
            for _ in range(3):
                await _tag()
            async with blocked(watch, "testapp_tag"):
                calls = [read(0), read(1), *(_tag() for _ in range(TASKS))]
                tasks = [asyncio.create_task(each) for each in calls]
                await until(lambda: tasks[1].done() and bool(watch.working()))
                watch.terminate(conn.connection.info.backend_pid)
                found = await ends(tasks)
        assert found[:2] == ["0", "1"]
        # Each has an error of its own.
        assert {type(each) for each in found[2:]} == {OperationalError}, found
        assert len(set(map(id, found[2:]))) == TASKS
        async with new_connection():
            assert await read(1) == "1"
        await pool_is_whole()
    assert sent == [TASKS + 1]


@asynccontextmanager
async def blocked(watch: Watch, table: str, skipped: int = 0) -> AsyncIterator[Any]:
    """Have whoever reads `table` wait for as long as this is open."""
    with psycopg.connect(watch.connection.info.dsn) as other:
        other.execute(f"LOCK TABLE {table}")
        yield other
        other.rollback()


async def _tag() -> bool:
    return await Tag.objects.filter(name="x").aexists()


def _waits_for_lock(watch: Watch) -> bool:
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = %s"
    return bool(watch.value(query, "AccessExclusiveLock"))


@asynccontextmanager
async def behind_a_stuck_one(watch: Watch) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """Two reads that are answered, one that waits for a lock, and two behind it."""
    for _ in range(3):
        await _tag()
    async with blocked(watch, "testapp_tag"):
        calls = [read(0), read(1), _tag(), read(2), read(3)]
        tasks = [asyncio.create_task(each) for each in calls]
        await until(lambda: tasks[1].done())
        yield tasks


async def test_one_is_cancelled_while_the_server_works_for_it(
    watch: Watch, sent: list[int]
) -> None:
    """The others wait for it, and are whole."""
    await fill()
    with configured():
        async with new_connection():
            async with behind_a_stuck_one(watch) as tasks:
                tasks[2].cancel()
                tasks[4].cancel()
                await asyncio.wait([tasks[2], tasks[4]], timeout=5)
                assert tasks[2].cancelled()
                assert tasks[4].cancelled()
                assert not tasks[3].done()
            assert await ends([tasks[0], tasks[1], tasks[3]]) == ["0", "1", "2"]
            assert await read(4) == "4"
    assert sent == [4]


@pytest.mark.parametrize("eager", [False, True])
async def test_one_that_was_cancelled_is_stopped_when_its_turn_comes(
    watch: Watch, sent: list[int], eager: bool
) -> None:
    """Nobody waits for it, and it would hold the connection."""
    told: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, what: told.append(what))

    async def exists() -> bool:
        return await Unique.objects.filter(key="k").aexists()

    await fill()
    with configured():
        async with new_connection() as conn:
            for _ in range(3):
                await _tag()
                await exists()
            async with blocked(watch, "testapp_unique"):
                async with blocked(watch, "testapp_tag"):
                    calls = [read(0), _tag(), exists()]
                    tasks = [asyncio.create_task(each) for each in calls]
                    await until(lambda: tasks[0].done() and bool(watch.working()))
                    tasks[2].cancel()
                    await asyncio.wait([tasks[2]])
                    if eager:  # not those that are to wait for each other
                        loop.set_task_factory(EAGER)
                assert not await tasks[1]
                await watch.idle()
                loop.set_task_factory(None)
                assert await read(1) == "1"
            assert conn.gate.pipeline is None
    assert sent == [2]
    assert not told


async def test_the_stop_that_nobody_waits_for_is_cancelled(
    watch: Watch, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is closed, and holds up nobody."""
    begin: Callable[..., Any] = bridge.begin_task
    await fill()
    with configured(OPTIONS=pool_options()):
        async with new_connection() as conn:
            for _ in range(3):
                await _tag()
            async with blocked(watch, "testapp_tag") as other:
                calls = [read(0), *(_tag() for _ in range(4))]
                tasks = [asyncio.create_task(each) for each in calls]
                await until(lambda: bool(sent and watch.working()))
                for each in tasks[2:]:
                    each.cancel()
                await asyncio.wait(tasks[2:])
                begun: list[asyncio.Task[Any]] = []
                pipeline = conn.gate.pipeline
                with psycopg.connect(other.info.dsn) as next_one:
                    locking = asyncio.to_thread(
                        next_one.execute, "LOCK TABLE testapp_tag"
                    )
                    locked = asyncio.create_task(locking)
                    await until(lambda: _waits_for_lock(watch))
                    monkeypatch.setattr(
                        bridge,
                        "begin_task",
                        lambda *given: begun.append(begin(*given)) or begun[-1],
                    )
                    other.rollback()
                    assert not await tasks[1]
                    stop = begun[0]
                    await asyncio.sleep(0)
                    stop.cancel()
                    await asyncio.wait([stop])
                    assert stop.cancelled()
                    assert pipeline.exchange is None  # it knows the pipeline
                    assert conn.gate.pipeline is None
                    assert not conn.gate.busy
                    await locked
                    next_one.rollback()
                await watch.idle()
        async with new_connection():
            assert await read(1) == "1"
        await pool_is_whole()
    assert sent == [4]


async def test_the_server_waits_for_none_of_them(
    watch: Watch, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What looks like a deadlock of calls is none, and they are watched all the same."""
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: told.append(what))
    monkeypatch.setattr(JoinedRead, "is_deadlocked", lambda _: True)
    await fill()
    with configured():
        async with new_connection() as conn:
            async with behind_a_stuck_one(watch) as tasks:
                await asyncio.sleep(0.3)
                assert conn.gate.pipeline._timer is not None
            assert await ends(tasks) == ["0", "1", False, "2", "3"]
    assert sent == [4]
    assert not told


@pytest.mark.parametrize("error", [RuntimeError, psycopg.OperationalError])
async def test_an_error_is_raised_in_one_only(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch, sent: list[int]
) -> None:
    def fetch_many(pgconn: Any) -> Any:
        yield from ()
        raise error("here")

    await fill()
    async with new_connection():
        with monkeypatch.context() as patched:
            patched.setattr(read_pipelines, "fetch_many", fetch_many)
            tasks = [asyncio.create_task(read(i)) for i in range(5)]
            assert await tasks[0] == "0"  # by itself
            found = await ends(tasks[1:])
    assert len({id(each) for each in found}) == len(found)
    told = [each for each in found if "here" in str(each)]
    assert len(told) == (1 if error is RuntimeError else len(found))
    assert {type(each) for each in found} <= {RuntimeError, OperationalError}
    assert sent == [len(found)]


def test_the_loop_is_closed_before_they_are_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Later loops do not look for readers for ever."""

    class WaitingRead:
        pass

    monkeypatch.setattr(_native.rows, "WaitingRead", WaitingRead)
    loop = asyncio.new_event_loop()
    pipeline = ReadPipeline(cast(Any, None), Gate("default", None), loop)
    counted = weakref.ref(pipeline.counted)
    loop.call_soon(pipeline.send)
    del pipeline
    assert counted() is not None
    loop.close()
    assert counted() is None


@pytest.mark.parametrize("count", [3, 20])
async def test_all_are_cancelled(watch: Watch, sent: list[int], count: int) -> None:
    """The server stops, however many it has begun, and the connection can be used."""
    await fill()
    with configured():
        async with new_connection() as conn:
            for _ in range(3):
                await _tag()
            async with blocked(watch, "testapp_tag"):
                both = asyncio.gather(read(0), *(_tag() for _ in range(count)))
                await until(lambda: bool(sent and watch.working()))
                pid = conn.connection.info.backend_pid
                both.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await both
                await watch.idle()
            assert await read(4) == "4"
            assert conn.connection.info.backend_pid == pid
    assert sent == [count]


@pytest.mark.parametrize("cancelled", [False, True])
async def test_who_waits_in_vain_is_told(
    watch: Watch,
    sent: list[int],
    cancelled: bool,
    settings_override: Callable[..., None],
) -> None:
    """As without a pipeline, and whoever they waited for goes on."""
    await fill()
    settings_override(DJANGO_ASYNC_FAST={"SCOPE_TIMEOUT": 0.3})
    with configured():
        async with new_connection() as conn:
            async with behind_a_stuck_one(watch) as tasks:
                if cancelled:
                    tasks[2].cancel()
                for each in tasks[3:]:
                    here = r"This statement: .*reading_together\.py"
                    with pytest.raises(ScopeTimeout, match=here):
                        await asyncio.wait_for(each, 5)
                if cancelled:
                    # Nobody is left for whom the server would work.
                    await watch.idle()
                else:
                    await asyncio.sleep(0.4)
                    assert not tasks[2].done()
            found = await ends([tasks[2]])
            assert isinstance(found[0], asyncio.CancelledError) or found == [False]
            assert await read(4) == "4"
            assert conn.gate.pipeline is None
            assert conn.gate._timer is None
    assert sent == [4]


async def test_those_behind_have_patience_while_answers_come(
    sent: list[int], settings_override: Callable[..., None]
) -> None:
    slow = "CREATE TEMP VIEW testapp_tag AS SELECT 1 AS id, 'x' AS name"
    settings_override(DJANGO_ASYNC_FAST={"SCOPE_TIMEOUT": 0.3})
    async with new_connection() as conn:
        for _ in range(3):
            await _tag()
        async with conn.acursor() as cursor:
            await cursor.execute(f"{slow} FROM pg_sleep(0.1)")
        reads = (_tag() for _ in range(8))
        assert all(await asyncio.gather(*reads, run_sync(Tag.objects.exists)))
    assert sent == [7]


async def test_cancelled_before_they_are_sent(sent: list[int]) -> None:
    await fill()
    async with new_connection():
        for when in range(1, 8):
            tasks = [asyncio.create_task(read(i)) for i in range(TASKS)]
            for _ in range(when):
                await asyncio.sleep(0)
            tasks[1].cancel()
            tasks[3].cancel()
            found = await ends(tasks)
            for number, each in enumerate(found):
                if number not in (1, 3):
                    assert each == str(number)
            assert await read(2) == "2"


async def test_the_block_ends_before_them(sent: list[int]) -> None:
    await fill()
    async with new_connection():
        tasks = [asyncio.create_task(read(i)) for i in range(TASKS)]
        await asyncio.sleep(0)
    found = await ends(tasks)
    for number, each in enumerate(found):
        assert each == str(number) or isinstance(each, InterfaceError), each
    async with new_connection():
        assert await read_all() == [str(i) for i in range(TASKS)]


async def _one_broken_off(
    watch: Watch, which: int, how: str, settled: Callable[[], Awaitable[None]]
) -> None:
    await fill()
    for at in range(1, MOST):
        steps: list[Steps] = []

        async def broken_off(at: int = at) -> str:
            steps.append(Steps(read(which), at, how))
            name: str = await steps[0]
            return name

        async with new_connection():
            calls = [broken_off() if i == which else read(i) for i in range(5)]
            found = await ends([asyncio.create_task(each) for each in calls])
            for number, each in enumerate(found):
                if number != which:
                    assert each == str(number), (at, number)
            if steps[0].happened:
                expected = Closed if how == "close" else asyncio.CancelledError
                assert isinstance(found[which], expected), (at, found[which])
            else:
                assert found[which] == str(which)
            assert await read_all(3) == ["0", "1", "2"]
        await watch.idle()
        await settled()
        if not steps[0].happened:
            return
    raise AssertionError("it has no end")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("which", [1, 2, 4])
@pytest.mark.parametrize("how", HOWS)
def test_one_of_several_is_broken_off_at_every_await(
    watch: Watch, how: str, which: int, loop: str
) -> None:
    _, options, settled = connected(watch, loop)
    with configured(OPTIONS=options):
        run(loop, _one_broken_off(watch, which, how, settled))


async def _all_broken_off(watch: Watch, how: str) -> None:
    await fill()
    for at in range(1, MOST):
        steps: list[Steps] = []

        async def broken_off(number: int, at: int = at) -> str:
            steps.append(Steps(read(number), at, how))
            name: str = await steps[-1]
            return name

        async with new_connection():
            tasks = [asyncio.create_task(broken_off(i)) for i in range(5)]
            found = await ends(tasks)
            for number, each in enumerate(found):
                assert each == str(number) or isinstance(
                    each, (Closed, asyncio.CancelledError, DatabaseError)
                ), (at, each)
        await watch.idle()
        await pool_is_whole()
        if not any(each.happened for each in steps):
            return
    raise AssertionError("it has no end")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("how", HOWS)
def test_all_are_broken_off_at_every_await(watch: Watch, how: str, loop: str) -> None:
    with configured(OPTIONS=pool_options(max_size=POOL_SIZE)):
        run(loop, _all_broken_off(watch, how))
