"""The running loop and its task, out of sight of synchronous code on the bridge.

Django's `async_unsafe` and the guards of others ask for the running loop, and refuse
where there is one. `workers.py` hides it at each step, a driven coroutine sees it.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import AbstractEventLoop, current_task
from asyncio.events import _set_running_loop
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent

if TYPE_CHECKING:
    from .workers import Worker

# From 3.14 on one task is current in a thread, not one for each loop: it is hidden with
# its loop, or a loop that synchronous code runs could run none.
ONE_TASK = sys.version_info >= (3, 14)
swap_current_task: Any = getattr(asyncio.tasks, "_swap_current_task", None)


def show_loop(worker: Worker) -> None:
    """Let the loop of `worker` be the running one, as a coroutine has to see it."""
    _set_running_loop(worker.loop)
    if ONE_TASK:
        swap_current_task(worker.loop, worker.hidden_task)


def hide_loop(worker: Worker) -> None:
    """Let no loop be the running one, as synchronous code has to see it."""
    if ONE_TASK:
        swap_current_task(worker.loop, None)
    _set_running_loop(None)


def task_on(loop: AbstractEventLoop) -> asyncio.Task[Any] | None:
    """Return the task of `loop` that runs the caller, hidden or not, or None."""
    return getattr(getcurrent(), "hidden_task", None) or current_task(loop)
