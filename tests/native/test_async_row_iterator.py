"""AsyncRowIterator: every way to await, cancel, close and drop it, and its pauses."""

import asyncio
import gc
import sys
import time
import types
import weakref
from functools import partial
from typing import Any

import pytest

from .plans import Failing, Thing, ready, source_of
from .sources import Source, Stopping, collect, later, stopping_batch

rows = pytest.importorskip("django_async_fast._rows")


def test_async_batches_one_after_the_other() -> None:
    source = Source(ready(1, 2), ready(), later(ready(3)), ready(4))
    assert asyncio.run(collect(rows.AsyncRowIterator(source))) == [1, 2, 3, 4]
    assert source.diary == ["fetch"] * 5


def test_async_batches_at_hand() -> None:
    iterator = rows.AsyncRowIterator(source_of(ready(1, 2), ready(3)))
    assert asyncio.run(collect(iterator)) == [1, 2, 3]


async def test_async_awaitables_that_are_no_coroutines() -> None:
    future = asyncio.get_running_loop().create_future()
    future.set_result(ready(1))
    task = asyncio.ensure_future(later(ready(2)))
    assert await collect(rows.AsyncRowIterator(source_of(future, task))) == [1, 2]


async def test_async_end_is_final() -> None:
    iterator = rows.AsyncRowIterator(Source(ready(1)))
    assert await collect(iterator) == [1]
    for _ in range(2):
        with pytest.raises(StopAsyncIteration):
            await anext(iterator)
    assert await anext(iterator, "default") == "default"


async def test_async_items_by_every_way_of_awaiting() -> None:
    items = [(), (1, 2), ValueError("item"), None, StopIteration(3), 6, 7, 8]
    iterator = rows.AsyncRowIterator(Source(later(ready(*items))))
    assert aiter(iterator) is iterator
    assert await anext(iterator) == ()
    assert await iterator.__anext__() == (1, 2)
    assert str(await asyncio.wait_for(iterator.__anext__(), 5)) == "item"
    assert await asyncio.ensure_future(iterator.__anext__()) is None
    assert (await asyncio.create_task(iterator.__anext__())).value == 3
    assert await anext(iterator, "default") == 6
    with pytest.raises(StopIteration) as stop:
        iterator.__anext__().send(None)
    assert stop.value.value == 7
    with pytest.raises(StopIteration) as stop:
        next(iterator.__await__())
    assert stop.value.value == 8


def test_async_stop_iteration_that_is_kept_is_not_reused() -> None:
    iterator = rows.AsyncRowIterator(source_of(ready(*range(20))))
    kept = []
    for i in range(20):
        try:
            next(iterator) if i % 2 else iterator.__next__()
        except StopIteration as stop:
            kept.append(stop)
    assert [stop.value for stop in kept] == list(range(20))
    assert len({id(stop) for stop in kept}) == 20


async def test_async_an_item_is_free_when_the_next_one_is_there() -> None:
    things = [Thing() for _ in range(3)]
    alive = [weakref.ref(thing) for thing in things]

    async def source() -> Any:
        return rows.ListBatch([things.pop()]) if things else None

    async for _ in rows.AsyncRowIterator(source):
        pass
    del _
    assert [ref() for ref in alive] == [None] * 3


@pytest.mark.parametrize("wrong", [ZeroDivisionError(), 5, later(5)])
async def test_async_a_fetch_that_fails_ends_the_iteration(wrong: Any) -> None:
    source = Source(ready(1), wrong, ready(2))
    iterator = rows.AsyncRowIterator(source)
    assert await anext(iterator) == 1
    with pytest.raises((ZeroDivisionError, TypeError)):
        await anext(iterator)
    assert await collect(iterator) == []
    assert source.diary == ["fetch", "fetch", "abandon"]


@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration])
async def test_async_stop_iteration_does_not_pass_for_the_end(error: Any) -> None:
    async def fails() -> Any:
        raise StopAsyncIteration

    sources = [Stopping(error), source_of(stopping_batch(error)), Source(fails())]
    for source in sources:
        iterator = rows.AsyncRowIterator(source)
        with pytest.raises(RuntimeError, match="raised StopIteration"):
            await anext(iterator)
        assert await collect(iterator) == []


@pytest.mark.parametrize("wrong", [5, "text", Thing()])
def test_async_a_source_that_returns_nonsense(wrong: Any) -> None:
    with pytest.raises(TypeError):
        asyncio.run(collect(rows.AsyncRowIterator(lambda: wrong)))


async def test_async_a_row_that_fails_ends_the_iteration() -> None:
    plan = rows.TuplePlan(width=1, converters=[(0, (Failing(),), None)])
    source = Source(rows.TupleBatch(plan, [(1,), (2,)]))
    iterator = rows.AsyncRowIterator(source)
    with pytest.raises(ZeroDivisionError):
        await anext(iterator)
    assert await collect(iterator) == []
    assert source.diary == ["fetch", "abandon"]


async def test_async_cancellation_in_a_fetch() -> None:
    forever = asyncio.get_running_loop().create_future()
    source = Source(ready(1), forever, ready(2))
    iterator = rows.AsyncRowIterator(source)
    assert await anext(iterator) == 1
    task = asyncio.ensure_future(collect(iterator))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert forever.cancelled()
    assert source.diary == ["fetch", "fetch", "abandon"]
    assert await collect(iterator) == []
    await iterator.aclose()
    assert source.diary == ["fetch", "fetch", "abandon"]


async def test_async_a_fetch_that_survives_its_cancellation() -> None:
    async def stubborn(batch: Any, again: bool) -> Any:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            if again:
                await asyncio.sleep(0)
            return batch

    source = Source(stubborn(ready(1, 2), True), stubborn(ready(3), False))
    task = asyncio.ensure_future(collect(rows.AsyncRowIterator(source)))
    for _ in range(2):
        for _ in range(4):
            await asyncio.sleep(0)
        task.cancel()
    assert await task == [1, 2, 3]
    assert source.diary == ["fetch"] * 3


async def test_async_closing_the_task_closes_the_fetch() -> None:
    source = Source(asyncio.get_running_loop().create_future())
    coroutine = collect(rows.AsyncRowIterator(source))
    coroutine.send(None)
    coroutine.close()
    assert source.diary == ["fetch", "abandon"]


def test_async_close_and_throw_of_an_idle_awaitable_change_nothing() -> None:
    iterator = rows.AsyncRowIterator(Source(ready(1)))
    iterator.close()
    with pytest.raises(ZeroDivisionError):
        iterator.throw(ZeroDivisionError)
    with pytest.raises(ZeroDivisionError, match="text"):
        iterator.throw(ZeroDivisionError("text"))
    with pytest.raises(ZeroDivisionError, match="text"):
        iterator.throw(ZeroDivisionError, "text")
    with pytest.raises(TypeError, match="throw"):
        iterator.throw()
    assert asyncio.run(collect(iterator)) == [1]


async def test_async_two_tasks() -> None:
    gate = asyncio.get_running_loop().create_future()
    source = Source(gate)
    iterator = rows.AsyncRowIterator(source)
    first = asyncio.ensure_future(collect(iterator))
    await asyncio.sleep(0)
    message = r"anext\(\): asynchronous generator is already running"
    with pytest.raises(RuntimeError, match=message):
        await anext(iterator)
    # One that has got hold of the awaitable in another way:
    with pytest.raises(RuntimeError, match=message):
        await iterator
    message = r"aclose\(\): asynchronous generator is already running"
    with pytest.raises(RuntimeError, match=message):
        await iterator.aclose()
    gate.set_result(ready(1, 2))
    assert await first == [1, 2]
    assert source.diary == ["fetch", "fetch"]


async def test_async_a_fetch_cannot_use_its_own_iterator() -> None:
    async def fetch() -> Any:
        throw = partial(iterator.throw, ZeroDivisionError)
        for act in (iterator.__anext__, iterator.__next__, iterator.close, throw):
            with pytest.raises(RuntimeError, match="already running"):
                act()
        with pytest.raises(RuntimeError, match="already running"):
            await iterator.aclose()
        return ready(1)

    iterator = rows.AsyncRowIterator(Source(fetch()))
    assert await collect(iterator) == [1]


async def test_aclose() -> None:
    source = Source(ready(1, 2))
    iterator = rows.AsyncRowIterator(source)
    assert await anext(iterator) == 1
    await iterator.aclose()
    await iterator.aclose()
    assert source.diary == ["fetch", "aclose"]
    assert await collect(iterator) == []


async def test_aclose_without_aclose() -> None:
    await rows.AsyncRowIterator(source_of(ready(1))).aclose()
    said = []
    source = types.SimpleNamespace(abandon=lambda: said.append("abandon"))
    await rows.AsyncRowIterator(source).aclose()
    assert said == ["abandon"]


async def test_dropping_abandons() -> None:
    source = Source(ready(1, 2))
    async for _ in rows.AsyncRowIterator(source):
        break
    assert source.diary == ["fetch", "abandon"]
    source = Source(ready(1))
    await collect(rows.AsyncRowIterator(source))
    assert source.diary == ["fetch", "fetch"]


def test_dropping_in_a_cycle_abandons() -> None:
    source = Source(ready(1))
    source.iterator = rows.AsyncRowIterator(source)  # type: ignore[attr-defined]
    diary, alive = source.diary, weakref.ref(source)
    del source
    gc.collect()
    assert diary == ["abandon"]
    assert alive() is None


def test_errors_of_abandon_are_unraisable(monkeypatch: pytest.MonkeyPatch) -> None:
    def abandon() -> None:
        raise ZeroDivisionError

    seen: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda arg: seen.append(arg.exc_type))
    rows.AsyncRowIterator(types.SimpleNamespace(abandon=abandon))
    assert seen == [ZeroDivisionError]


async def test_a_converter_may_abandon_its_iterator() -> None:
    async def end() -> None:
        await iterator.aclose()

    def meddle(value: Any, *_: Any) -> Any:
        if value == 1:
            with pytest.raises(StopIteration):
                iterator.aclose().send(None)
        gc.collect()
        return value

    plan = rows.TuplePlan(width=2, converters=[(0, (meddle,), None)])
    source = [rows.TupleBatch(plan, [(i, Thing()) for i in range(3)])]
    iterator = rows.AsyncRowIterator(lambda: source.pop())
    assert [row[0] async for row in iterator] == [0, 1]


def spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


async def test_a_long_ready_stretch_lets_the_loop_run() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(other())
    async for _ in rows.AsyncRowIterator(source_of(ready(*range(320)))):
        spin(0.0001)  # 32 ms in all, the clock is looked at each 3.2 ms
    task.cancel()
    assert 5 <= turns <= 12


def test_a_short_ready_stretch_does_not() -> None:
    coroutine = collect(rows.AsyncRowIterator(source_of(ready(*range(100)))))
    with pytest.raises(StopIteration) as stop:
        coroutine.send(None)
    assert stop.value.value == list(range(100))


def paused() -> tuple[Any, Any, list[int]]:
    """An iterator, and a coroutine over it that is suspended in a pause."""
    got: list[int] = []

    async def loop() -> None:
        async for item in iterator:
            got.append(item)
            spin(0.0001)

    iterator = rows.AsyncRowIterator(source_of(ready(*range(100))))
    coroutine = loop()
    assert coroutine.send(None) is None
    return iterator, coroutine, got


def test_in_a_pause_others_must_wait() -> None:
    iterator, coroutine, _ = paused()
    with pytest.raises(RuntimeError, match="already running"):
        iterator.__anext__()
    coroutine.close()


@pytest.mark.parametrize("cancel", [True, False])
def test_cancelled_in_a_pause_nothing_is_lost(cancel: bool) -> None:
    iterator, coroutine, got = paused()
    if cancel:
        with pytest.raises(asyncio.CancelledError):
            coroutine.throw(asyncio.CancelledError())
    else:
        coroutine.close()
    assert 0 < len(got) < 100
    assert got + asyncio.run(collect(iterator)) == list(range(100))
