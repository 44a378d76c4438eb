"""A thread that makes the calls of one connection; their outcomes are futures."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any

from .forks import OfOneProcess, forks

Job = Callable[[], object]


class DriverThread(OfOneProcess):
    """The thread of one connection."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self.forks = forks()
        # A block that is never left must not keep the interpreter from ending.
        self._thread = Thread(target=_work, args=(self._jobs,), name=name, daemon=True)
        self._thread.start()

    def begin(self, function: Job) -> asyncio.Future[Any]:
        """Call `function` in the thread; return the future of its outcome."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Any] = loop.create_future()
        # In the caller's context: who traces the driver finds the caller's span.
        self._jobs.put(partial(_call, loop, outcome, copy_context(), function))
        return outcome

    def post(self, function: Job) -> None:
        """Call `function` in the thread, whatever comes of it."""
        self._jobs.put(function)

    def end(self) -> None:
        """End the thread once it has done what it has been given."""
        self._jobs.put(None)

    def join(self) -> None:
        """Wait for the last steps of a thread that has nothing left to do."""
        self._thread.join()


def _work(jobs: SimpleQueue[Job | None]) -> None:
    opened: object = None
    while (job := jobs.get()) is not None:
        # A job that is awaited keeps its error; this is its loop, which is closed.
        with suppress(Exception):
            found = job()
            # The thread's own: the collector does not find the connection before us.
            opened = opened or found
            del found
        del job  # the next one may be long in coming


def _call(
    loop: asyncio.AbstractEventLoop,
    outcome: asyncio.Future[Any],
    context: Context,
    function: Job,
) -> Any:
    try:
        found = context.run(function)
        loop.call_soon_threadsafe(_settle, outcome, outcome.set_result, found)
        return found
    except BaseException as exc:
        # No future takes a StopIteration.
        error = RuntimeError(repr(exc)) if isinstance(exc, StopIteration) else exc
        loop.call_soon_threadsafe(_settle, outcome, outcome.set_exception, error)
        return None
    finally:
        # An error has this frame; had by it, its cursor would stay open.
        outcome = error = None  # type: ignore[assignment]


def _settle(
    outcome: asyncio.Future[Any], settle: Callable[[Any], None], found: Any
) -> None:
    if not outcome.done():
        settle(found)
