"""Bridged calls, as those see them who take turns: which is inside of which."""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any

from .hidden_loop import task_on

if TYPE_CHECKING:
    from .workers import Worker


class Call:
    """One call of a synchronous function by `run()`, for those who tell it from others.

    Calls that its function makes by awaiting coroutines, itself or in tasks that they
    start, are inside of it.
    """

    __slots__ = ("held_gates", "outer", "over", "read", "task", "waiter", "worker")

    def __init__(self, outer: Call | None, worker: Worker | None = None) -> None:
        self.outer = outer
        self.worker = worker
        # The task it runs in, once it has awaited a coroutine or waits its turn.
        self.task: asyncio.Task[Any] | None = None
        # What it holds until its end: then each one's `call_ended(call)` is called.
        self.held_gates: list[Any] = []
        # What is known of it if it does one read and no more: `tasks/units.py`.
        self.read: Any = None
        # Its place in a queue, while it waits there.
        self.waiter: Any = None
        self.over = False

    def is_inside(self, other: Call) -> bool:
        """Tell whether this call is part of `other`, or that call itself."""
        call: Call | None = self
        while call is not None and call is not other:
            call = call.outer
        return call is not None

    def end(self) -> None:
        """End the call: what it holds goes to the next."""
        self.over = True
        self.worker = self.task = None
        held, self.held_gates = self.held_gates, []
        for each in held:
            each.call_ended(self)

    def set_task(self, loop: AbstractEventLoop) -> None:
        """Remember the task it runs in."""
        self.task = task_on(loop)


# The innermost call that the coroutines and tasks of this context are part of.
outer_call: ContextVar[Call | None] = ContextVar("daf_call", default=None)


def enclosing(context: Context | None) -> Call | None:
    """Return the call in progress that one made here, or in `context`, is inside of."""
    call = outer_call.get()
    if call is None and context is not None:
        call = context.get(outer_call)
    while call is not None and call.over:
        call = call.outer
    return call
