"""What is known of whoever calls: whether it may wait, its loop, its task, its call."""

import asyncio
from asyncio import AbstractEventLoop, current_task
from asyncio.events import _get_running_loop
from collections.abc import Callable
from contextvars import ContextVar
from types import FrameType
from typing import Any, TypeVar

from greenlet import getcurrent

from .. import _native
from . import calls
from .calls import Call
from .hidden_loop import task_on
from .workers import BRIDGE, Worker, have_ended

T = TypeVar("T")


def _in_bridge() -> bool:
    """Tell whether the caller may use `await_()`."""
    if have_ended() or type(worker := getcurrent()) is not Worker:
        return False
    # Below `asyncio.run()` in synchronous code there is a loop that is not ours.
    return _get_running_loop() is None if worker.task is None else _may_switch(worker)


def _serves(loop: AbstractEventLoop) -> bool:
    """Tell whether the caller may use `await_()`, and `loop` is what it waits on."""
    return _in_bridge() and getcurrent().loop is loop


def _can_wait() -> bool:
    """Tell whether `await_()` would wait: on the bridge, and somebody drives it."""
    return _in_bridge() and not getcurrent().abandoned


def in_coroutine() -> bool:
    """Tell whether the caller sees a loop: a coroutine, or below one that is driven."""
    return _get_running_loop() is not None


def current_call() -> Call | None:
    """Return the bridged call in progress, or None.

    What a driven coroutine calls without awaiting is one, until the coroutine awaits.
    """
    worker = getcurrent()
    return worker.get_call() if type(worker) is Worker else None


def begin_call(call: Call) -> None:
    """Let `call`, which has no worker yet, be the one in progress."""
    worker = getcurrent()
    assert type(worker) is Worker
    worker.call, call.worker = call, worker


def enclosing_call() -> Call | None:
    """Return the call in progress that a call made here would be inside of, or None."""
    worker = getcurrent()
    return calls.enclosing(worker.call_context if type(worker) is Worker else None)


def _may_switch(worker: Worker) -> bool:
    """Tell whether code below a driven coroutine may stop its greenlet.

    Not the first step of another task, which an eager task factory takes in there.
    """
    return (
        _get_running_loop() is worker.loop
        and id(current_task(worker.loop)) == worker.task
    )


# The core answers what every query asks.
_CALLER: Any = BRIDGE and _native.rows.Caller(BRIDGE, current_task=current_task)
in_bridge: Callable[[], bool] = _CALLER.in_bridge if _CALLER else _in_bridge
can_wait: Callable[[], bool] = _CALLER.can_wait if _CALLER else _can_wait
serves: Callable[[AbstractEventLoop], bool] = _CALLER.serves if _CALLER else _serves


def get_in_call_context(variable: ContextVar[T]) -> T | None:
    """Return what `variable` is where the bridged call in progress was made, or None.

    For code that the call runs in a context of its own, with `Context().run()`.
    """
    worker = getcurrent()
    if type(worker) is not Worker or worker.call_context is None:
        return None
    return worker.call_context.get(variable)


def in_call_context() -> bool:
    """Tell whether the bridged call in progress has not entered another context."""
    worker = getcurrent()
    return type(worker) is not Worker or worker.gr_context is worker.call_context


def awaiting_frame() -> FrameType | None:
    """Return the innermost frame of the coroutines that await the caller, or None."""
    worker = getcurrent()
    if type(worker) is not Worker or worker.parent is None:
        return None
    return worker.parent.gr_frame


def task_here() -> asyncio.Task[Any] | None:
    """Return the task that runs the caller, on the bridge or not, or None."""
    loop = current_loop()
    return None if loop is None else task_on(loop)


def current_loop() -> AbstractEventLoop | None:
    """Return the loop that serves the caller, running or hidden, or None."""
    running = _get_running_loop()
    if running is not None:
        return running
    worker = getcurrent()
    return worker.loop if type(worker) is Worker else None
