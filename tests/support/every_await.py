"""Break a scenario off at its every await, and look at what is left.

A scenario runs inside `Steps`, which sees each suspension of its task. In run k the
k-th suspension is the one where it happens: the task really is suspended there.
"""

import asyncio
import contextvars
import gc
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# Ways to break off: `Steps` says what each does.
HOWS = ("cancel", "late", "twice", "always", "close")
# Suspensions that a scenario may have before it counts as endless.
MOST = 400


class Closed(Exception):
    """The scenario was closed, as a destroyed task's coroutine is."""


@dataclass(eq=False)
class Steps:
    """Await `coroutine`, and do something at its `at`-th suspension.

    cancel: `Task.cancel()`. late: when what it waits for has come, and is lost.
    twice: again at the next suspension, in the clean-up. always: again at every
    later one. close: the coroutine is closed where it is suspended.
    """

    coroutine: Coroutine[Any, Any, Any]
    at: int
    how: str
    cancel: Callable[[], object] | None = None
    count: int = 0
    interrupted: bool = False

    @property
    def happened(self) -> bool:
        return self.count >= self.at

    def __await__(self) -> Generator[Any, Any, Any]:
        task = asyncio.current_task()
        assert task is not None
        self.cancel = self.cancel or task.cancel
        try:
            return (yield from self._steps())
        finally:
            # The task holds what it ended with, and that these frames.
            self.cancel = task = None

    def _steps(self) -> Generator[Any, Any, Any]:
        step: Callable[[Any], Any] = self.coroutine.send
        sent: Any = None
        while True:
            # Not kept in this frame: an exception holds what it came through.
            given, sent = sent, None
            try:
                waiting_for = step(given)
            except StopIteration as stop:
                return stop.value
            finally:
                given = None
            self.count += 1
            if self._is_the_one():
                self._break_off(waiting_for)
            try:
                sent = yield waiting_for
                step = self.coroutine.send
            except BaseException as exc:
                self.interrupted = self.interrupted or self.happened
                sent = exc
                step = self.coroutine.throw

    def _is_the_one(self) -> bool:
        late = self.count - self.at
        return late == 0 or (
            late > 0 and (self.how == "always" or (self.how == "twice" and late == 1))
        )

    def _break_off(self, waiting_for: Any) -> None:
        cancel = self.cancel
        assert cancel is not None
        if self.how == "close":
            self._close(waiting_for)
        elif self.how == "late" and asyncio.isfuture(waiting_for):
            # Before the callback that wakes the task, which is still to come.
            waiting_for.add_done_callback(lambda _: cancel())
        else:
            # Takes effect when the task has been suspended, before anything that it
            # waits for: on uvloop what is scheduled may come after an answer.
            cancel()

    def _close(self, waiting_for: Any) -> None:
        if asyncio.isfuture(waiting_for):
            waiting_for._asyncio_future_blocking = False
        self.coroutine.close()
        raise Closed


# Before Python 3.13 an asynchronous generator whose anext() was closed counts as running
# for good, and so the loop cannot close it at its end.
STUCK = "aclose(): asynchronous generator is already running"


def is_stuck(error: BaseException | None) -> bool:
    return sys.version_info < (3, 13) and STUCK in str(error)


class Noise:
    """What Python and the loop complain about behind everybody's back."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def unraisable(self, event: Any) -> None:
        self.heard.append(f"unraisable in {event.object!r}: {event.exc_value!r}")

    def loop_handler(self, loop: Any, context: dict[str, Any]) -> None:
        if is_stuck(context.get("exception")):
            return
        self.heard.append(
            f"loop: {context.get('message')}: {context.get('exception')!r}"
        )

    def check(self) -> None:
        gc.collect()
        assert not self.heard, "\n".join(self.heard)


@contextmanager
def listening() -> Generator[Noise]:
    """Hear unraisable exceptions (never-awaited coroutines among them)."""
    noise, before = Noise(), sys.unraisablehook
    sys.unraisablehook = noise.unraisable
    try:
        yield noise
    finally:
        sys.unraisablehook = before


async def broken_off(
    scenario: Callable[[], Coroutine[Any, Any, Any]], at: int, how: str
) -> tuple[bool, Steps]:
    """Run `scenario` broken off at suspension `at`; return whether it got there."""
    steps: list[Steps] = []

    async def main() -> Any:
        steps.append(Steps(scenario(), at, how))
        return await steps[0]

    task = asyncio.create_task(main(), context=contextvars.copy_context())
    await asyncio.wait([task])
    if not steps[0].happened:
        await task
        return False, steps[0]
    if how == "close":
        assert isinstance(task.exception(), Closed)
    else:
        assert task.cancelled(), f"the cancellation was lost: {_ending(task)}"
    return True, steps[0]


def _ending(task: asyncio.Task[Any]) -> str:
    exc = task.exception()
    return f"{exc!r} from {exc.__context__!r}" if exc else f"returned {task.result()!r}"


@contextmanager
def runner(loop: str) -> Generator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Yield what runs a coroutine on `loop`.

    asyncio is in its debug mode, plain is asyncio without. At the end nobody may
    have complained.
    """
    factory, debug = asyncio.new_event_loop, loop == "asyncio"
    if loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop

    async def limited(main: Coroutine[Any, Any, Any]) -> None:
        asyncio.get_running_loop().set_exception_handler(noise.loop_handler)
        async with asyncio.timeout(120):
            await main

    with listening() as noise:
        with asyncio.Runner(debug=debug, loop_factory=factory) as runs:
            yield lambda main: runs.run(limited(main))
        noise.check()


def run(loop: str, main: Coroutine[Any, Any, Any]) -> None:
    with runner(loop) as runs:
        runs(main)
