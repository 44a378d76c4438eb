"""The core's future of one round trip: asyncio's, but its task goes on at once."""

import asyncio
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from django_async_fast import _native

if not _native.COMPILED:
    pytest.skip("the future is the compiled core's", allow_module_level=True)

Wait = _native.rows.Wait

mark: ContextVar[str] = ContextVar("mark", default="")


async def waiting(wait: Any, found: list[Any]) -> Any:
    mark.set("the task's")
    try:
        found.append(await wait)
    except BaseException as exc:
        found.append(exc)
        raise
    finally:
        found.append((mark.get(), asyncio.current_task()))
    return found[0]


async def started(found: list[Any]) -> tuple[Any, asyncio.Task[Any]]:
    wait = Wait(loop=asyncio.get_running_loop())
    task = asyncio.create_task(waiting(wait, found))
    await asyncio.sleep(0)
    assert not wait.done()
    return wait, task


def call_from_loop(function: Any, *args: Any) -> asyncio.Future[None]:
    """Call `function` where no task runs; return the future of its end."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def call() -> None:
        function(*args)
        done.set_result(None)

    loop.call_soon(call, context=copy_context())
    return done


async def test_the_task_goes_on_before_resolve_returns() -> None:
    found: list[Any] = []
    wait, task = await started(found)

    def resolve() -> None:
        wait.resolve((1, 2))
        found.append("resolve returns")

    await call_from_loop(resolve)
    assert found == [(1, 2), ("the task's", task), "resolve returns"]
    assert await task == (1, 2)
    assert mark.get() == ""


async def test_an_error_is_raised_where_it_is_awaited() -> None:
    found: list[Any] = []
    wait, task = await started(found)
    await call_from_loop(wait.fail, ZeroDivisionError("at once"))
    assert found[1] == ("the task's", task)
    with pytest.raises(ZeroDivisionError, match="at once"):
        await task
    assert isinstance(wait.exception(), ZeroDivisionError)


async def test_an_error_that_is_set_elsewhere_is_scheduled() -> None:
    found: list[Any] = []
    wait, task = await started(found)
    wait.set_exception(ZeroDivisionError())
    assert not found
    with pytest.raises(ZeroDivisionError):
        await task


async def test_a_cancelled_task_is_cancelled_where_it_waits() -> None:
    found: list[Any] = []
    wait, task = await started(found)
    task.cancel("enough")
    assert wait.cancelled()
    assert not found
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(found[0], asyncio.CancelledError)
    assert not wait.cancel()


async def test_a_timeout_cancels_it() -> None:
    wait = Wait(loop=asyncio.get_running_loop())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await wait
    assert wait.cancelled()


async def test_what_is_done_calls_back_in_the_loops_next_turn() -> None:
    wait = Wait(loop=asyncio.get_running_loop())
    wait.resolve(1)
    found: list[Any] = []
    wait.add_done_callback(found.append)
    assert not found
    await asyncio.sleep(0)
    assert found == [wait]
    assert await wait == wait.result() == 1
    assert wait.exception() is None


async def test_all_callbacks_are_called_but_those_removed() -> None:
    wait = Wait(loop=asyncio.get_running_loop())
    found: list[str] = []

    def note(name: str) -> Any:
        return lambda wait: found.append(name)

    first, second, third = note("first"), note("second"), note("third")
    for each in (first, second, third, second):
        wait.add_done_callback(each)
    assert wait.remove_done_callback(second) == 2
    wait.resolve(None)
    await asyncio.sleep(0)
    assert sorted(found) == ["first", "third"]


async def test_it_is_done_once() -> None:
    wait = Wait(loop=asyncio.get_running_loop())
    for ask in (wait.result, wait.exception):
        with pytest.raises(asyncio.InvalidStateError):
            ask()
    wait.resolve(1)
    for end in (wait.resolve, wait.fail, wait.set_exception):
        with pytest.raises(asyncio.InvalidStateError):
            end(ValueError())
    assert not wait.cancel()


async def test_asyncio_takes_it_for_a_future() -> None:
    wait = Wait(loop=asyncio.get_running_loop())
    assert asyncio.isfuture(wait)
    assert wait.get_loop() is asyncio.get_running_loop()
    gathered = asyncio.gather(wait, asyncio.sleep(0, 2))
    await call_from_loop(wait.resolve, 1)
    assert await gathered == [1, 2]
