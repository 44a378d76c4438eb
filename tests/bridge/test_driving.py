"""Driven coroutines: to them and to the loop it is as if the task ran them."""

import asyncio
import gc
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from textwrap import dedent
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from django_async_fast import bridge, run
from tests.support.fresh_python import ended
from tests.support.uncollected import left_to_collect

from .driving import VAR, driven, wait


async def test_synchronous_code_may_wait_and_the_loop_is_seen() -> None:
    async def coroutine() -> str:
        loop = asyncio.get_running_loop()
        wait()
        assert asyncio.get_running_loop() is loop
        await asyncio.sleep(0)
        wait()
        return "done"

    others: list[int] = []

    async def other() -> None:
        for i in range(3):
            others.append(i)
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    assert await driven(coroutine()) == "done"
    assert others
    await task


async def test_functions_that_it_awaits_run_in_its_greenlet() -> None:
    from greenlet import getcurrent

    def function(value: int) -> tuple[int, Any]:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        wait()
        call = bridge.current_call()
        assert call is not None
        assert call is bridge.current_call()
        return value, getcurrent()

    async def coroutine() -> None:
        # What it calls without awaiting is a call, until it awaits something.
        lazy = bridge.current_call()
        assert bridge.current_call() is lazy
        await asyncio.sleep(0)
        assert bridge.current_call() is not lazy
        assert await bridge.run(function, 1) == (1, getcurrent())
        assert await bridge.run(function, 2) == (2, getcurrent())
        with pytest.raises(KeyError):
            await bridge.run({}.__getitem__, "x")
        assert asyncio.get_running_loop()

    await driven(coroutine())


async def test_async_to_sync_in_between() -> None:
    async def inner() -> int:
        wait()
        await asyncio.sleep(0)
        return VAR.get()

    def function() -> int:
        VAR.set(VAR.get() + 1)
        return async_to_sync(inner)()

    async def coroutine() -> list[int]:
        return [await bridge.run(function), function(), await bridge.run(function)]

    assert await driven(coroutine()) == [1, 2, 3]
    assert VAR.get() == 3


async def test_tasks_that_it_starts_are_not_driven() -> None:
    async def child() -> str:
        with pytest.raises(bridge.BridgeError):
            wait()
        return await bridge.run(lambda: (wait(), "waited")[1])

    async def coroutine() -> list[str]:
        return await asyncio.gather(child(), child())

    assert await driven(coroutine()) == ["waited"] * 2


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
async def test_the_first_step_of_an_eager_task_stops_nobody_else() -> None:
    steps = []

    async def child() -> str:
        assert not bridge.in_bridge()
        assert not bridge.can_wait()
        with pytest.raises(bridge.BridgeError):
            wait()
        steps.append("begun")
        value = await bridge.run(lambda: (wait(), "waited")[1])
        steps.append("done")
        return value

    async def coroutine() -> str:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        try:
            task = asyncio.create_task(child())
        finally:
            loop.set_task_factory(None)
        assert steps == ["begun"]
        wait()
        return await task

    assert await driven(coroutine()) == "waited"


async def test_the_task_is_the_task() -> None:
    async def coroutine() -> Any:
        before = asyncio.current_task()
        await asyncio.sleep(0)
        wait()
        assert asyncio.current_task() is before
        return before

    assert await driven(coroutine()) is asyncio.current_task()


async def test_timeouts_and_cancellation_reach_both_kinds_of_waits() -> None:
    async def coroutine() -> None:
        for waiting in (wait, None):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    if waiting is None:
                        await asyncio.sleep(30)
                    else:
                        waiting(30)
        wait(30)

    task = asyncio.create_task(driven(coroutine()))
    await asyncio.sleep(0.1)
    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError, match="enough"):
        await task


async def test_the_traceback_has_the_users_frames_in_order() -> None:
    async def origin() -> None:
        await asyncio.sleep(0)
        raise ValueError("here")

    async def middle(future: asyncio.Future[None]) -> None:
        await future

    async def outer() -> None:
        await middle(asyncio.ensure_future(origin()))

    def users(exc: BaseException) -> list[str]:
        frames = traceback.extract_tb(exc.__traceback__)
        return [f.name for f in frames if f.filename == __file__]

    with pytest.raises(ValueError, match="here") as plain:
        await outer()
    with pytest.raises(ValueError, match="here") as ours:
        await driven(outer())
    names = [name for name in users(ours.value) if name != "driven"]
    assert names == users(plain.value)


async def test_a_closed_coroutine_is_closed_inside() -> None:
    from django_async_fast.bridge.closed_coroutines import being_closed

    seen = []

    @asynccontextmanager
    async def manager() -> AsyncIterator[None]:
        try:
            yield
        finally:
            seen.append("left")

    class Exit:
        async def __aenter__(self) -> None:
            pass

        async def __aexit__(self, *exc: Any) -> None:
            seen.append(being_closed(exc[1]))

    async def coroutine() -> None:
        async with Exit(), manager():
            await asyncio.get_running_loop().create_future()

    call = driven(coroutine())
    call.send(None)
    call.close()
    assert seen == ["left", True]

    async def ignores() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except GeneratorExit:
            await asyncio.get_running_loop().create_future()

    call = driven(ignores())
    call.send(None)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        call.close()


async def test_no_cycles_are_left() -> None:
    class Failure(Exception):
        pass

    async def fails(how: int) -> None:
        await asyncio.sleep(0)
        wait()
        if how:
            await bridge.run(wait)
            raise Failure
        await failed()

    def failed() -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        future.set_exception(Failure())
        return future

    async def work() -> None:
        for how in (0, 1):
            try:
                await driven(fails(how))
            except Failure:
                pass

    await work()
    with left_to_collect() as left:
        await work()
        gc.collect()
        kinds = {type(each).__name__ for each in left}
    assert not kinds & {"Failure", "Worker", "coroutine", "frame", "traceback"}


async def test_many_steps_need_no_deeper_stack() -> None:
    async def coroutine() -> int:
        depth = len(traceback.extract_stack())
        for _ in range(2000):
            await asyncio.sleep(0)
            wait()
            await bridge.run(wait)
        return len(traceback.extract_stack()) - depth

    assert await driven(coroutine()) == 0


def test_run() -> None:
    async def main(value: int) -> int:
        wait()
        await asyncio.sleep(0)
        return value

    assert run(main(7)) == 7
    assert run(main(8), loop_factory=asyncio.SelectorEventLoop) == 8
    with pytest.raises(ValueError, match="a coroutine was expected"):
        run(7)  # type: ignore[arg-type]


async def test_run_where_a_loop_runs() -> None:
    async def main() -> None:
        pass

    coroutine = main()
    with pytest.raises(RuntimeError, match="running event loop"):
        run(coroutine)
    coroutine.close()


def test_run_is_interrupted_as_asyncio_is() -> None:
    program = """
        import asyncio, os, signal
        from django.conf import settings
        settings.configure()
        import django_async_fast
        async def main():
            try:
                os.kill(os.getpid(), signal.SIGINT)
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                print("cancelled", flush=True)
                raise
        try:
            django_async_fast.run(main())
        except KeyboardInterrupt:
            print("interrupted")
    """
    done = ended("-c", dedent(program))
    assert done.stdout.split() == ["cancelled", "interrupted"], done.stderr
