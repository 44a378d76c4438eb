"""Run synchronous code on the event loop: where it would block, the loop awaits.

`run(fn)` calls `fn` in a greenlet on the loop's own thread. Code below it hands every
awaitable to `await_()`, which leaves the greenlet until the loop has the result.
"""

from asyncio import get_running_loop
from collections.abc import Callable
from typing import Any, TypeVar

from greenlet import getcurrent

from .caller import can_wait
from .hidden_loop import hide_loop, show_loop
from .thread_local_values import thread_locals
from .workers import (
    BRIDGE,
    FINISHED,
    Worker,
    end_call,
    finish,
    go_on,
    have_ended,
    idle_workers,
    resume,
    start,
)

T = TypeVar("T")


def begin_read(worker: Worker, call: list[Any]) -> Any:
    """Return a read that is the whole of `call`, sent already, or None.

    It is told how what the task awaits for it has ended; then the worker has what it
    returns, or goes on with it. `querysets/compiled/execution.py` knows reads.
    """
    return None


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
        # `idle_workers` is one of the thread-locals that may be exchanged.
        idle = here.idle_workers
    loop = get_running_loop()
    if idle is None:
        idle = idle_workers.workers
    worker = idle.pop() if idle else start()
    worker.loop = loop
    own = thread_locals.get()
    if own is not None:
        worker.locals, worker.idle_workers = own, idle
    if (read := begin_read(worker, call)) is not None:
        if read.wait is not None:
            try:
                value = await read.wait
            except BaseException as exc:
                if isinstance(exc, GeneratorExit):
                    worker.abandoned = True
                read.error = exc
            else:
                if read.end(value):
                    return finish(worker, idle)
                value = None
        call = [{}, (), read.go_on]
        read = None
    waiting_for = go_on(worker, loop, call)
    while waiting_for is not FINISHED:
        try:
            value = await waiting_for
        except BaseException as exc:
            if isinstance(exc, GeneratorExit):
                if have_ended():
                    raise
                worker.abandoned = True
            waiting_for = resume(
                worker, loop, worker.throw, type(exc), exc, exc.__traceback__
            )
        else:
            waiting_for = go_on(worker, loop, value)
            # The next wait may be long: do not keep this result alive meanwhile.
            value = None
    return finish(worker, idle)


def _call_in_python(worker: Worker, call: list[Any]) -> Any:
    """Make a call for a driven coroutine, whose own greenlet it may stop."""
    end_call(worker)  # what the coroutine has called before
    task, worker.task = worker.task, None
    hide_loop(worker)
    try:
        return call.pop()(*call.pop(), **call.pop())
    finally:
        end_call(worker)
        worker.task = task
        show_loop(worker)


_call: Callable[[Worker, list[Any]], Any] = (
    BRIDGE.call_for_driven if BRIDGE else _call_in_python
)
