"""Run synchronous code on the event loop: where it would block, the loop awaits.

`run(fn)` calls `fn` in a greenlet on the loop's own thread. Code below it hands
every awaitable to `await_()`, which leaves the greenlet until the loop has the
result. `drive(coroutine)` runs a coroutine in there, so that synchronous code that
it calls may wait too. This module is the only importer of greenlet.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
import types
from asyncio import AbstractEventLoop, current_task, get_running_loop
from asyncio.events import _get_running_loop, _set_running_loop
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import suppress
from contextvars import Context, ContextVar, Token
from types import CoroutineType, FrameType, TracebackType
from typing import Any, TypeVar

from greenlet import GreenletExit as GreenletExit
from greenlet import getcurrent as getcurrent
from greenlet import greenlet

from .. import _native

T = TypeVar("T")

# An idle greenlet keeps about 12 KB of stack; a new one costs 8 us more at its first
# wait. No more than this many are kept.
IDLE_PER_THREAD = 64

_FINISHED: Any = object()

# In debug mode `bridge/stalls.py` takes the steps, and times them; else one comparison.
timed_step: Callable[..., Any] | None = None

# Is called where a driven coroutine waits without awaiting: `seams/lazy_access.py`.
on_lazy_wait: Callable[[FrameType], None] | None = None

# The `threading.local` values that bridged calls in this context have in place of the
# thread's: what turns calls take would be seen by the others.
thread_locals: ContextVar[Any] = ContextVar("daf_thread_locals", default=None)


# From 3.14 on one task is current in a thread, not one for each loop: it is hidden with
# its loop, or a loop that synchronous code runs could run none.
_ONE_TASK = sys.version_info >= (3, 14)
_swap_current_task: Any = getattr(asyncio.tasks, "_swap_current_task", None)

# Before 3.13 asyncio finds the running loop in what is exchanged with thread-locals.
_LOOP_IN_LOCALS = sys.version_info < (3, 13)


class BridgeError(RuntimeError):
    """An awaitable was handed over where nothing can await it."""


class Call:
    """One call of a synchronous function by `run()`, for those who tell it from others.

    Calls that its function makes by awaiting coroutines, itself or in tasks that they
    start, are inside of it.
    """

    __slots__ = ("held_gates", "outer", "over", "task", "waiter", "worker")

    def __init__(self, outer: Call | None, worker: Worker | None = None) -> None:
        self.outer = outer
        self.worker = worker
        # The task it runs in, once it has awaited a coroutine or waits its turn.
        self.task: asyncio.Task[Any] | None = None
        # What it holds until its end: then each one's `call_ended(call)` is called.
        self.held_gates: list[Any] = []
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
        self.task = _task(loop)

    def frames(self) -> Iterator[FrameType]:
        """Yield the innermost frame of the call, then those of who awaits it."""
        worker = self.worker
        if worker is None:
            return
        if worker.gr_frame is not None:
            yield worker.gr_frame
        for task in asyncio.all_tasks(worker.loop):
            frames = list(_awaiting_frames(task))
            if any(_runs(worker, frame) for frame in frames):
                yield from reversed(frames)


def waiting_frames(loop: AbstractEventLoop) -> Iterator[FrameType]:
    """Yield the innermost frame of each bridged call that waits on `loop`.

    Of driven coroutines, too. For who looks at a loop that stands still, in another
    thread.
    """
    for task in asyncio.all_tasks(loop):
        for frame in _awaiting_frames(task):
            worker = (
                frame.f_locals.get("worker") if frame.f_code is run.__code__ else None
            )
            inner = worker.gr_frame if worker is not None else None
            if inner is None:
                continue
            yield inner
            while inner is not None:
                if inner.f_code is _drive.__code__:
                    yield from _frames_of(inner.f_locals.get("coroutine"))
                inner = inner.f_back


def _awaiting_frames(task: asyncio.Task[Any]) -> Iterator[FrameType]:
    yield from _frames_of(task.get_coro())


def _frames_of(awaitable: Any) -> Iterator[FrameType]:
    while isinstance(awaitable, CoroutineType):
        if awaitable.cr_frame is not None:
            yield awaitable.cr_frame
        awaitable = awaitable.cr_await


def _runs(worker: Worker, frame: FrameType) -> bool:
    return frame.f_code is run.__code__ and frame.f_locals.get("worker") is worker


# The innermost call that the coroutines and tasks of this context are part of.
outer_call: ContextVar[Call | None] = ContextVar("daf_call", default=None)


class Worker(greenlet):
    """One greenlet that serves call after call, idle in between."""

    # Slots cost less to look up than what greenlets have in a dict.
    __slots__ = (
        *("abandoned", "call", "call_context", "failure", "held_gate", "hidden_task"),
        *("idle_workers", "locals", "loop", "outcome", "task"),
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
        # The call in progress, made when somebody asks for it: most are one statement
        # that nobody minds.
        self.call: Call | None = None
        # What the call holds until its end, before somebody asks for the call.
        self.held_gate: Any = None

    def run(self) -> None:
        while True:
            # Not in this frame, which tools show: to show a queryset is a query.
            call = self.parent.switch(_FINISHED)
            try:
                self.outcome = call.pop()(*call.pop(), **call.pop())
            except BaseException as exc:
                # Without this frame: it outlives the call and holds the worker.
                tb = exc.__traceback__
                self.failure = exc.with_traceback(tb and tb.tb_next)
                del tb
            _end_call(self)

    def get_call(self) -> Call:
        """Return the call in progress."""
        if self.call is None:
            held, self.held_gate = self.held_gate, None
            # Whoever holds something so was inside of no call.
            self.call = Call(None if held else enclosing_call(), self)
            if held is not None:
                held.replace_worker(self, self.call)
        return self.call

    def end_call(self) -> None:
        """End the call in progress: what it holds goes to the next."""
        if self.held_gate is not None:
            held, self.held_gate = self.held_gate, None
            held.call_ended(self)
        elif self.call is not None:
            call, self.call = self.call, None
            call.end()


class _IdleWorkers(threading.local):
    def __init__(self) -> None:
        self.workers: list[Worker] = []


_idle = _IdleWorkers()


def in_bridge() -> bool:
    """Tell whether the caller may use `await_()`."""
    worker = getcurrent()
    if type(worker) is not Worker:
        return False
    # Below `asyncio.run()` in synchronous code there is a loop that is not ours.
    return _get_running_loop() is None if worker.task is None else _may_switch(worker)


def serves(loop: AbstractEventLoop) -> bool:
    """Tell whether the caller may use `await_()`, and `loop` is what it waits on."""
    worker = getcurrent()
    if type(worker) is not Worker or worker.loop is not loop:
        return False
    # As `in_bridge()`, which every query would call from here.
    return _get_running_loop() is None if worker.task is None else _may_switch(worker)


def can_wait() -> bool:
    """Tell whether `await_()` would wait: on the bridge, and somebody drives it."""
    return in_bridge() and not getcurrent().abandoned


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
    call = outer_call.get() or get_in_call_context(outer_call)
    while call is not None and call.over:
        call = call.outer
    return call


def _may_switch(worker: Worker) -> bool:
    """Tell whether code below a driven coroutine may stop its greenlet.

    Not the first step of another task, which an eager task factory takes in there.
    """
    return (
        _get_running_loop() is worker.loop
        and id(current_task(worker.loop)) == worker.task
    )


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
    return None if loop is None else _task(loop)


def _task(loop: AbstractEventLoop) -> asyncio.Task[Any] | None:
    return getattr(getcurrent(), "hidden_task", None) or current_task(loop)


def current_loop() -> AbstractEventLoop | None:
    """Return the loop that serves the caller, running or hidden, or None."""
    running = _get_running_loop()
    if running is not None:
        return running
    worker = getcurrent()
    return worker.loop if type(worker) is Worker else None


def await_(awaitable: Awaitable[T]) -> T:
    """Wait for `awaitable` from synchronous code that runs under `run()`.

    Raises BridgeError outside of `run()`, and when the task that drove this
    call has been destroyed: then no I/O is possible any more.
    """
    worker = getcurrent()
    if type(worker) is not Worker or worker.abandoned or worker.task is not None:
        return _await_in_driven(awaitable)
    return _switch(worker, awaitable)


def _switch(worker: Worker, awaitable: Any) -> Any:
    # Other awaitables than coroutines run nothing of the caller's.
    before = _begin_awaiting(worker) if type(awaitable) is CoroutineType else None
    try:
        return worker.parent.switch(awaitable)
    except GreenletExit:
        worker.abandoned = True
        raise
    finally:
        if before is not None:
            _end_awaiting(before)


def _begin_awaiting(worker: Worker) -> Token[Call | None]:
    """Let the calls that a coroutine makes from here on be part of the worker's."""
    call = worker.get_call()
    call.set_task(worker.loop)
    return outer_call.set(call)


def _end_awaiting(before: Token[Call | None]) -> None:
    # The remains of a task may be collected in another context.
    with suppress(ValueError):
        outer_call.reset(before)


def _await_in_driven(awaitable: Awaitable[T]) -> T:
    """Do what `await_()` does where a driven coroutine has called synchronous code."""
    worker = _waiting_worker(awaitable)
    if on_lazy_wait is not None:
        on_lazy_wait(sys._getframe(2))
    try:
        return _switch(worker, awaitable)
    finally:
        _show_loop(worker)


def _show_loop(worker: Worker) -> None:
    _set_running_loop(worker.loop)
    if _ONE_TASK:
        _swap_current_task(worker.loop, worker.hidden_task)


def _hide_loop(worker: Worker) -> None:
    if _ONE_TASK:
        _swap_current_task(worker.loop, None)
    _set_running_loop(None)


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` to its end under `run()`: what it calls may use `await_()`.

    To the coroutine it is as if the task ran it, and what it awaits is the task's
    to wait for. Raises BridgeError as `await_()` does.
    """
    worker = _waiting_worker(coroutine)
    before = _begin_awaiting(worker)
    call, worker.call = worker.call, None
    try:
        return _drive(worker, coroutine)
    finally:
        worker.call = call
        _end_awaiting(before)
        del coroutine  # a failure knows this frame


def drive_alone(coroutine: Coroutine[Any, Any, T]) -> T:
    """Do as `drive()` where that is all that a `run()` does: no call is around it."""
    return _drive(_waiting_worker(coroutine), coroutine)


def _drive(worker: Worker, coroutine: Coroutine[Any, Any, T]) -> T:
    before = worker.task
    step: Callable[..., Any] = coroutine.send
    value: Any = None
    try:
        while True:
            _show_loop(worker)
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
                # As the task threw it: without the frames of `_yield()`, `run()` and
                # this function.
                value = exc.with_traceback(_inner(exc.__traceback__, 3))
                step = coroutine.throw
    finally:
        try:
            coroutine.close()
        finally:
            worker.end_call()
            worker.task = before
            if before is None:
                _hide_loop(worker)
            else:
                _show_loop(worker)
        # A failure knows this frame.
        del step, value, coroutine


@types.coroutine
def _yield(value: Any) -> Generator[Any, Any, Any]:
    """Hand the task what a driven coroutine has handed to `drive()`."""
    return (yield value)


def _inner(traceback: TracebackType | None, frames: int) -> TracebackType | None:
    while traceback is not None and frames:
        traceback, frames = traceback.tb_next, frames - 1
    return traceback


def _waiting_worker(awaitable: Any) -> Worker:
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


async def run(fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Call the synchronous `fn` so that its database waits are awaited.

    Context variables are shared both ways; exceptions and cancellation pass
    through in both directions.
    """
    here = getcurrent()
    call = [kwargs, args, fn]
    del fn, args, kwargs
    idle: list[Worker] | None = None
    if type(here) is Worker:
        if here.task is not None and can_wait():
            return _call(here, call)
        # `_idle` is one of the thread-locals that may be exchanged.
        idle = here.idle_workers
    loop = get_running_loop()
    if idle is None:
        idle = _idle.workers
    worker = idle.pop() if idle else _start()
    worker.loop = loop
    own = thread_locals.get()
    if own is not None:
        worker.locals, worker.idle_workers = own, idle
    waiting_for = _go_on(worker, loop, call)
    while waiting_for is not _FINISHED:
        try:
            value = await waiting_for
        except BaseException as exc:
            if isinstance(exc, GeneratorExit):
                worker.abandoned = True
            waiting_for = _resume(
                worker, loop, worker.throw, type(exc), exc, exc.__traceback__
            )
        else:
            waiting_for = _go_on(worker, loop, value)
            # The next wait may be long: do not keep this result alive meanwhile.
            value = None
    return _end(worker, idle)


def _call(worker: Worker, function: list[Any]) -> Any:
    """Call `function` for a driven coroutine, whose own greenlet it may stop."""
    worker.end_call()  # what the coroutine has called before
    task, worker.task = worker.task, None
    _hide_loop(worker)
    try:
        return function.pop()(*function.pop(), **function.pop())
    finally:
        worker.end_call()
        worker.task = task
        _show_loop(worker)


def _start() -> Worker:
    """Return a new worker, as one at rest."""
    worker = Worker()
    worker.switch()  # without a call: a greenlet keeps what it was started with
    return worker


def _resume(
    worker: Worker, loop: AbstractEventLoop, how: Callable[..., Any], *args: Any
) -> Any:
    """Let `worker` go on until it waits or finishes; return what it waits for."""
    here = getcurrent()
    # Both can differ from one step to the next: a coroutine may be driven by
    # another task, or inside somebody else's greenlet.
    if worker.parent is not here:
        worker.parent = here
    if (
        worker.gr_context is worker.call_context
    ):  # else `Context.run()` must find its own
        worker.gr_context = worker.call_context = here.gr_context
    # Synchronous code must find itself in the synchronous world: Django's
    # async_unsafe and the guards of others ask for the running loop. There is
    # none where the remains of a task are collected.
    running = _get_running_loop()
    if _ONE_TASK and running is not None:
        worker.hidden_task = _swap_current_task(running, None)
    _set_running_loop(None)
    try:
        if worker.locals is not None:
            if _LOOP_IN_LOCALS or timed_step is not None:
                return worker.locals.call(_step, loop, how, *args)
            return worker.locals.call(how, *args)
        return how(*args) if timed_step is None else timed_step(loop, how, *args)
    finally:
        _set_running_loop(running)
        if _ONE_TASK and running is not None:
            _swap_current_task(running, worker.hidden_task)
            worker.hidden_task = None  # else the task, which has it, would have itself


def _go_on_in_python(worker: Worker, loop: AbstractEventLoop, value: Any) -> Any:
    return _resume(worker, loop, worker.switch, value)


def _finish(worker: Worker, idle: list[Worker]) -> Any:
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
    resume=_resume,
    worker=Worker,
    getcurrent=getcurrent,
    get_running_loop=_get_running_loop,
    set_running_loop=_set_running_loop,
    swap_current_task=_swap_current_task if _ONE_TASK else None,
    greenlet_exit=GreenletExit,
    finish=_finish,
    idle=IDLE_PER_THREAD,
)
_go_on: Callable[..., Any] = BRIDGE.go_on if BRIDGE else _go_on_in_python
_end: Callable[..., Any] = BRIDGE.end if BRIDGE else _finish
_end_call: Callable[[Worker], None] = BRIDGE.end_call if BRIDGE else Worker.end_call


def _step(loop: AbstractEventLoop, how: Callable[..., Any], *args: Any) -> Any:
    """Take a step with the thread-locals of the call in place."""
    # Also where asyncio keeps the loop beside them: it remembers what it has set last.
    _set_running_loop(None)
    return how(*args) if timed_step is None else timed_step(loop, how, *args)


def _discard(awaitable: Any) -> None:
    """Keep a coroutine that will not run from warning that it was never awaited."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()
