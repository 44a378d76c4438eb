"""The bridge by itself: no database."""

import asyncio
import contextvars
import gc
from types import MethodType

import pytest
from django.dispatch import Signal

from django_async_fast import bridge
from tests.support.counted import Counted

VAR: contextvars.ContextVar[str] = contextvars.ContextVar("VAR", default="")


def wait(value: object = None, seconds: float = 0.0) -> object:
    return bridge.await_(asyncio.sleep(seconds, value))


async def test_returns_and_raises() -> None:
    def fail() -> None:
        wait()
        raise KeyError("x")

    assert await bridge.run(wait, 7) == 7
    assert await bridge.run(lambda: 8) == 8
    with pytest.raises(KeyError, match="x"):
        await bridge.run(fail)
    assert await bridge.run(wait, 9) == 9


async def test_a_method_of_what_has_no_hash() -> None:
    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, instance: object) -> object:
            return wait(instance)

    assert await bridge.run(MethodType(Unhashable(), "it")) == "it"


async def test_exceptions_of_what_is_awaited_can_be_caught_below() -> None:
    async def broken() -> None:
        raise OSError("down")

    def work() -> str:
        try:
            bridge.await_(broken())
        except OSError as exc:
            return str(exc)
        return ""

    assert await bridge.run(work) == "down"


async def test_context_variables_are_shared_both_ways() -> None:
    async def coroutine() -> str:
        before = VAR.get()
        VAR.set("set by the coroutine")
        return before

    def work() -> list[str]:
        seen = [VAR.get()]
        VAR.set("set by the sync code")
        seen.append(bridge.await_(coroutine()))
        return [*seen, VAR.get()]

    VAR.set("set outside")
    assert await bridge.run(work) == [
        "set outside",
        "set by the sync code",
        "set by the coroutine",
    ]
    assert VAR.get() == "set by the coroutine"


async def test_context_variables_of_tasks_do_not_mix() -> None:
    def work(name: str) -> str:
        VAR.set(name)
        wait()
        return VAR.get()

    names = [str(i) for i in range(200)]
    assert await asyncio.gather(*(bridge.run(work, n) for n in names)) == names


async def test_the_loop_is_hidden_from_sync_code_and_back_after_it() -> None:
    def work() -> bool:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        wait()
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return bridge.current_loop() is loop

    loop = asyncio.get_running_loop()
    assert await bridge.run(work)
    assert asyncio.get_running_loop() is loop


async def test_cancellation_reaches_sync_code_and_comes_back() -> None:
    seen = []

    def work() -> None:
        try:
            wait(seconds=10)
        except asyncio.CancelledError:
            seen.append("cancelled")
            wait()  # cleaning up may wait
            seen.append("cleaned up")
            raise

    task = asyncio.create_task(bridge.run(work))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled", "cleaned up"]


async def test_an_abandoned_call_cannot_wait_any_more() -> None:
    seen = []

    def work() -> None:
        try:
            wait(seconds=10)
        finally:
            with pytest.raises(bridge.BridgeError, match="gone"):
                wait()
            seen.append(bridge.can_wait())

    coroutine = bridge.run(work)
    coroutine.send(None)
    coroutine.close()
    assert seen == [False]
    del coroutine
    gc.collect()
    assert await bridge.run(wait, "next") == "next"


async def test_async_receivers_of_a_sync_signal_share_the_loop() -> None:
    seen = []

    async def receiver(**kwargs: object) -> None:
        await asyncio.sleep(0)
        seen.append(asyncio.get_running_loop())

    signal = Signal()
    signal.connect(receiver)
    await bridge.run(signal.send, sender=None)
    assert seen == [asyncio.get_running_loop()]


def test_waiting_without_a_bridge_teaches() -> None:
    with pytest.raises(bridge.BridgeError, match="run_sync"):
        wait()


async def test_waiting_on_the_loop_itself_teaches() -> None:
    with pytest.raises(bridge.BridgeError, match="run_sync"):
        wait()


async def test_bridges_nest() -> None:
    def inner() -> object:
        return wait("inner")

    def outer() -> object:
        return bridge.await_(bridge.run(inner))

    assert await bridge.run(outer) == "inner"


async def test_a_thousand_at_once() -> None:
    async def barrier(value: int) -> int:
        await asyncio.sleep(0.01)
        return value

    def work(value: int) -> int:
        return bridge.await_(barrier(value))

    calls = (bridge.run(work, i) for i in range(1000))
    assert await asyncio.gather(*calls) == list(range(1000))


async def test_a_call_leaves_nothing_alive() -> None:
    class Thing(Counted):
        pass

    def work(thing: Thing, fail: bool) -> Thing:
        wait(thing)
        if fail:
            raise ValueError(thing)
        return thing

    bridge.workers.idle_workers.workers.clear()  # the first call is a new worker's
    for fail in (False, True):
        try:
            await bridge.run(work, Thing(), fail)
        except ValueError:
            pass
        assert Thing.alive == 0
