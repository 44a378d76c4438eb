"""Wait for an awaitable in synchronous code: its greenlet stands still meanwhile."""

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable
from contextvars import Token
from types import CoroutineType, FrameType
from typing import Any, TypeVar

from greenlet import GreenletExit, getcurrent

from .. import conf
from .caller import can_wait, in_bridge
from .calls import Call, outer_call
from .hidden_loop import show_loop
from .workers import BRIDGE, Worker

T = TypeVar("T")

# Is called where a driven coroutine waits without awaiting: `seams/lazy_access.py`.
on_lazy_wait: Callable[[FrameType], None] | None = None


class BridgeError(RuntimeError):
    """An awaitable was handed over where nothing can await it."""


def await_(awaitable: Awaitable[T]) -> T:
    """Wait for `awaitable` from synchronous code that runs under `run()`.

    Raises BridgeError outside of `run()`, and when the task that drove this
    call has been destroyed: then no I/O is possible any more.
    """
    worker = getcurrent()
    if type(worker) is not Worker or worker.abandoned or worker.task is not None:
        return _await_in_driven(awaitable, _switch)
    return _switch(worker, awaitable)


def await_in_line(future: asyncio.Future[T]) -> T:
    """Do as `await_()` where very many calls may wait at once.

    Their frames are not seen meanwhile: greenlet would make an object for each, a fifth
    of what a waiting request holds. STALL_WATCH looks at them.
    """
    worker = getcurrent()
    switch = _switch_unseen if BRIDGE and conf.get("STALL_WATCH") is None else _switch
    if type(worker) is not Worker or worker.abandoned or worker.task is not None:
        return _await_in_driven(future, switch)
    return switch(worker, future)


def _switch_unseen(worker: Worker, future: Any) -> Any:
    try:
        return BRIDGE.call_unseen(_leave, future)
    except GreenletExit:
        worker.abandoned = True
        raise


def _leave(future: Any) -> Any:
    # greenlet takes one that has no frame at all for the one that runs.
    return getcurrent().parent.switch(future)


def _switch(worker: Worker, awaitable: Any) -> Any:
    # Other awaitables than coroutines run nothing of the caller's.
    before = begin_awaiting(worker) if type(awaitable) is CoroutineType else None
    try:
        return worker.parent.switch(awaitable)
    except GreenletExit:
        worker.abandoned = True
        raise
    finally:
        if before is not None:
            end_awaiting(before)


def begin_awaiting(worker: Worker) -> Token[Call | None]:
    """Let the calls that a coroutine makes from here on be part of the worker's."""
    call = worker.get_call()
    call.set_task(worker.loop)
    return outer_call.set(call)


def end_awaiting(before: Token[Call | None]) -> None:
    try:
        outer_call.reset(before)
    except ValueError:
        return  # the remains of a task, collected in another context


def _await_in_driven(
    awaitable: Awaitable[T], switch: Callable[[Worker, Any], Any]
) -> T:
    """Do what `await_()` does where a driven coroutine has called synchronous code."""
    worker = waiting_worker(awaitable)
    if on_lazy_wait is not None:
        on_lazy_wait(sys._getframe(2))
    try:
        return switch(worker, awaitable)
    finally:
        show_loop(worker)


def waiting_worker(awaitable: Any) -> Worker:
    """Return the worker that may be stopped for `awaitable`; raise BridgeError."""
    if can_wait():
        return getcurrent()
    _discard(awaitable)
    if not in_bridge():
        raise BridgeError(
            "Asynchronous I/O was attempted in synchronous code that does not run "
            "on the bridge. Call it as `await run_sync(function, ...)`, or use the "
            "async method (`aget`, `asave`, `async for`, ...)."
        )
    raise BridgeError("The task that ran this code is gone; it cannot wait.")


def _discard(awaitable: Any) -> None:
    """Keep a coroutine that will not run from warning that it was never awaited."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()
