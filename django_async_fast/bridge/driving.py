"""Run a coroutine so that what it calls without awaiting may wait as well.

`book.author`, a template over a queryset, `form.is_valid()`: where the coroutine is
driven inside of a bridged call they wait on the loop. That is wherever this package
starts the coroutine; tasks that it starts itself are the loop's.
"""

import asyncio
import types
from asyncio import current_task
from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, TypeVar

from greenlet import GreenletExit

from .. import _native, conf
from . import running
from .caller import can_wait, in_call_context
from .hidden_loop import hide_loop, show_loop
from .waiting import await_, begin_awaiting, end_awaiting, waiting_worker
from .workers import BRIDGE, Worker

T = TypeVar("T")


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` to its end under `run()`: what it calls may use `await_()`.

    To the coroutine it is as if the task ran it, and what it awaits is the task's
    to wait for. Raises BridgeError as `await_()` does.
    """
    worker = waiting_worker(coroutine)
    before = begin_awaiting(worker)
    call, worker.call = worker.call, None
    try:
        return _take_steps(worker, coroutine)
    finally:
        worker.call = call
        end_awaiting(before)
        del coroutine  # a failure knows this frame


def _drive_alone(coroutine: Coroutine[Any, Any, T]) -> T:
    """Do as `drive()` where that is all that a `run()` does: no call is around it."""
    return _take_in_python(waiting_worker(coroutine), coroutine)


def _take_in_python(worker: Worker, coroutine: Coroutine[Any, Any, T]) -> T:
    before, driven = worker.task, worker.driven
    worker.driven = coroutine
    try:
        return _go_on(worker, coroutine, None)
    finally:
        try:
            coroutine.close()
        finally:
            worker.end_call()
            worker.task, worker.driven = before, driven
            if before is None:
                hide_loop(worker)
            else:
                show_loop(worker)
        del coroutine  # a failure knows this frame


def _go_on(
    worker: Worker, coroutine: Coroutine[Any, Any, T], failure: BaseException | None
) -> T:
    """Take the steps of `coroutine`, the first of which may throw `failure`."""
    value: Any = failure
    step: Callable[..., Any] = coroutine.send
    if failure is not None:
        # As the task threw it: without the frames of `_yield()`, of `run()` and of
        # whoever took the step before.
        value = failure.with_traceback(_inner(failure.__traceback__, 3))
        step = coroutine.throw
    try:
        while True:
            show_loop(worker)
            worker.task = id(current_task(worker.loop))
            try:
                value = step(value)
            except StopIteration as stop:
                return stop.value
            # What the coroutine has called without awaiting it is over.
            worker.end_call()
            if worker.abandoned:
                raise RuntimeError("coroutine ignored GeneratorExit")
            try:
                value, step = worker.parent.switch(_yield(value)), coroutine.send
            except GreenletExit:
                worker.abandoned = True
                raise
            except BaseException as exc:
                value = exc.with_traceback(_inner(exc.__traceback__, 3))
                step = coroutine.throw
    finally:
        del step, value, failure, coroutine  # a failure knows this frame


@types.coroutine
def _yield(value: Any) -> Generator[Any, Any, Any]:
    """Hand the task what a driven coroutine has handed to `drive()`."""
    return (yield value)


def _inner(traceback: TracebackType | None, frames: int) -> TracebackType | None:
    while traceback is not None and frames:
        traceback, frames = traceback.tb_next, frames - 1
    return traceback


# The core takes the steps up to the first that throws.
_STEPS: Any = BRIDGE and _native.rows.DrivenSteps(
    BRIDGE,
    current_task=current_task,
    hand_on=_yield,
    go_on=_go_on,
    waiting_worker=waiting_worker,
)
_take_steps: Callable[[Worker, Any], Any] = _STEPS.take if _STEPS else _take_in_python
drive_alone: Callable[[Any], Any] = _STEPS.drive_alone if _STEPS else _drive_alone


def drives(awaitable: object) -> bool:
    """Tell whether `awaitable` is to be driven: a coroutine, and the setting LAZY."""
    return isinstance(awaitable, types.CoroutineType) and conf.get("LAZY") == "await"


async def driven(coroutine: Coroutine[Any, Any, T]) -> T:
    """Await `coroutine`, driven unless whoever awaits this is already."""
    if not drives(coroutine) or can_wait():
        return await coroutine
    return await running.run(drive_alone, coroutine)


def await_driven(awaitable: Any) -> Any:
    """Wait for `awaitable` from synchronous code on the bridge, a coroutine driven."""
    # A task is in the context that it was given, what it drives in the caller's.
    driven = drives(awaitable) or not in_call_context()
    return (drive if driven else await_)(awaitable)


def run(
    main: Coroutine[Any, Any, T],
    *,
    debug: bool | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> T:
    """`asyncio.run()`, with `main` driven: in its blocks lazy relations wait.

    Raises RuntimeError where a loop runs already, ValueError for what is no coroutine.
    """
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("run() cannot be called from a running event loop")
    if not asyncio.iscoroutine(main):
        raise ValueError(f"a coroutine was expected, got {main!r}")
    with asyncio.Runner(debug=debug, loop_factory=loop_factory) as runner:
        return runner.run(driven(main))
