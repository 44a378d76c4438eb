"""The greenlets that bridged calls run in: started, resumed step by step, at rest.

A step ends where the call waits, with the awaitable, or with FINISHED. The core takes
the steps where nothing is unusual.
"""

import sys
import threading
from asyncio import AbstractEventLoop
from asyncio.events import _get_running_loop, _set_running_loop
from collections.abc import Callable
from contextvars import Context
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

from .. import _native
from .calls import Call, enclosing
from .hidden_loop import ONE_TASK, swap_current_task

# An idle greenlet keeps about 12 KB of stack; a new one costs 8 us more at its first
# wait. No more than this many are kept.
IDLE_PER_THREAD = 64

# What a worker hands over when its call has returned.
FINISHED: Any = object()

# In debug mode `bridge/stalls.py` takes the steps, and times them; else one comparison.
timed_step: Callable[..., Any] | None = None

# Before 3.13 asyncio finds the running loop in what is exchanged with thread-locals.
LOOP_IN_LOCALS = sys.version_info < (3, 13)


class Worker(greenlet):
    """One greenlet that serves call after call, idle in between."""

    # Slots cost less to look up than what greenlets have in a dict.
    __slots__ = (
        *("abandoned", "call", "call_context", "driven", "failure", "held_gate"),
        *("hidden_task", "idle_workers", "locals", "loop", "outcome", "task"),
    )

    loop: AbstractEventLoop

    def __init__(self) -> None:
        super().__init__()
        self.outcome: Any = None
        self.failure: BaseException | None = None
        # The task that drove this call is gone: nothing may be awaited any more.
        self.abandoned = False
        # The task that runs it, where that is hidden from asyncio meanwhile.
        self.hidden_task: Any = None
        # The context that the call was made in; `Context.run()` may have entered
        # another.
        self.call_context: Context | None = None
        # The thread-locals of the call, and the idle workers of the thread that has
        # them.
        self.locals: Any = None
        self.idle_workers: list[Worker] | None = None
        # While a driven coroutine runs, with the loop in sight, the id of the task that
        # does (the task itself would be kept alive by its own greenlet). None in
        # synchronous code that is called through `run()`.
        self.task: int | None = None
        # The innermost coroutine that is driven.
        self.driven: Any = None
        # The call in progress, made when somebody asks for it: most are one statement
        # that nobody minds.
        self.call: Call | None = None
        # What the call holds until its end, before somebody asks for the call.
        self.held_gate: Any = None

    def run(self) -> None:
        while True:
            # Not in this frame, which tools show: to show a queryset is a query.
            call = self.parent.switch(FINISHED)
            try:
                self.outcome = call.pop()(*call.pop(), **call.pop())
            except BaseException as exc:
                # Without this frame: it outlives the call and holds the worker.
                tb = exc.__traceback__
                self.failure = exc.with_traceback(tb and tb.tb_next)
                del tb
            end_call(self)

    def get_call(self) -> Call:
        """Return the call in progress."""
        if self.call is None:
            held, self.held_gate = self.held_gate, None
            # Whoever holds something so was inside of no call.
            self.call = Call(None if held else enclosing(self.call_context), self)
            if held is not None:
                held.replace_worker(self, self.call)
        return self.call

    def holds_nothing(self) -> bool:
        """Tell whether nobody has asked for the call, and it holds no gate."""
        return self.call is None and self.held_gate is None

    def end_call(self) -> None:
        """End the call in progress: what it holds goes to the next."""
        if self.held_gate is not None:
            held, self.held_gate = self.held_gate, None
            held.call_ended(self)
        elif self.call is not None:
            call, self.call = self.call, None
            call.end()


class IdleWorkers(threading.local):
    def __init__(self) -> None:
        self.workers: list[Worker] = []


idle_workers = IdleWorkers()


def have_ended() -> bool:
    """Tell whether greenlet has ended with the process: its greenlets stay stopped."""
    try:
        getcurrent()
    except RuntimeError:
        return True
    return False


def start() -> Worker:
    """Return a new worker, at rest."""
    worker = Worker()
    worker.switch()  # without a call: a greenlet keeps what it was started with
    return worker


def _step(loop: AbstractEventLoop, how: Callable[..., Any], *args: Any) -> Any:
    """Take a step with the thread-locals of the call in place."""
    # Also where asyncio keeps the loop beside them: it remembers what it has set last.
    _set_running_loop(None)
    return how(*args) if timed_step is None else timed_step(loop, how, *args)


def resume(
    worker: Worker, loop: AbstractEventLoop, how: Callable[..., Any], *args: Any
) -> Any:
    """Let `worker` go on until it waits or finishes; return what it waits for."""
    here = getcurrent()
    # Both can differ from one step to the next: a coroutine may be driven by
    # another task, or inside somebody else's greenlet.
    if worker.parent is not here:
        worker.parent = here
    # Else `Context.run()` must find its own.
    if worker.gr_context is worker.call_context:
        worker.gr_context = worker.call_context = here.gr_context
    # Synchronous code must find itself in the synchronous world: Django's
    # async_unsafe and the guards of others ask for the running loop. There is
    # none where the remains of a task are collected.
    running = _get_running_loop()
    if ONE_TASK and running is not None:
        worker.hidden_task = swap_current_task(running, None)
    _set_running_loop(None)
    try:
        if worker.locals is not None:
            if LOOP_IN_LOCALS or timed_step is not None:
                return worker.locals.call(_step, loop, how, *args)
            return worker.locals.call(how, *args)
        return how(*args) if timed_step is None else timed_step(loop, how, *args)
    finally:
        _set_running_loop(running)
        if ONE_TASK and running is not None:
            swap_current_task(running, worker.hidden_task)
            worker.hidden_task = None  # else the task, which has it, would have itself


def _go_on_in_python(worker: Worker, loop: AbstractEventLoop, value: Any) -> Any:
    return resume(worker, loop, worker.switch, value)


def _finish_in_python(worker: Worker, idle: list[Worker]) -> Any:
    """Return or raise what the call has; have the worker rest among `idle`."""
    outcome, failure = worker.outcome, worker.failure
    worker.outcome = worker.failure = worker.gr_context = worker.call_context = None
    if worker.locals is not None:
        worker.locals = worker.idle_workers = None
    if not worker.abandoned and len(idle) < IDLE_PER_THREAD:
        idle.append(worker)
    if failure is None:
        return outcome
    try:
        raise failure
    finally:
        del failure  # else the traceback and this frame hold each other


# The core does these where nothing is unusual.
BRIDGE: Any = _native.COMPILED and _native.rows.Bridge(
    names=globals(),
    resume=resume,
    worker=Worker,
    getcurrent=getcurrent,
    get_running_loop=_get_running_loop,
    set_running_loop=_set_running_loop,
    swap_current_task=swap_current_task if ONE_TASK else None,
    greenlet_exit=GreenletExit,
    finish=_finish_in_python,
    idle=IDLE_PER_THREAD,
)
go_on: Callable[..., Any] = BRIDGE.go_on if BRIDGE else _go_on_in_python
finish: Callable[..., Any] = BRIDGE.end if BRIDGE else _finish_in_python
end_call: Callable[[Worker], None] = BRIDGE.end_call if BRIDGE else Worker.end_call
