"""Who of the tasks at once may run, when one has changed what belongs to them all.

A worker that begins such a change takes the turn. The tasks of the others are not
resumed until it has undone it. It needs no lock to take it: it runs, so nobody else
does, and whoever has the turn lets nobody else run.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from typing import Any

from tools.conformance.recording import worker


class Turn:
    """Belongs to nobody, or to the worker that has changed something."""

    def __init__(self) -> None:
        self.owner = 0
        self.thread = threading.get_ident()
        self.changes: set[Any] = set()
        self.waiting: list[asyncio.Future[None]] = []

    def take(self, change: Any) -> None:
        """Begin `change`. Whoever runs may: the others are not running."""
        if worker.get() and threading.get_ident() == self.thread:
            self.owner = worker.get()
            self.changes.add(change)

    def give(self, change: Any) -> None:
        """End `change`."""
        if self.owner != worker.get() or threading.get_ident() != self.thread:
            return
        self.changes.discard(change)
        if not self.changes:
            self._free()

    def class_ended(self) -> None:
        """What the worker's class has not undone by now it will not undo."""
        if self.owner == worker.get():
            self.changes.clear()
            self._free()

    def _free(self) -> None:
        self.owner = 0
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def is_taken(self) -> bool:
        """Tell whether the caller's worker may not run now."""
        return self.owner not in (0, worker.get()) and worker.get() != 0

    async def given(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        await future


turn = Turn()


class _Paced:
    """Drives a coroutine, but only while nobody else has the turn."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        step: Callable[[Any], Any] = self.coroutine.send
        value: Any = None
        while True:
            while turn.is_taken():
                try:
                    yield from turn.given().__await__()
                except asyncio.CancelledError as cancelled:
                    step, value = self.coroutine.throw, cancelled
            try:
                awaited = step(value)
            except StopIteration as end:
                return end.value
            try:
                step, value = self.coroutine.send, (yield awaited)
            except BaseException as exc:
                step, value = self.coroutine.throw, exc


def pace(loop: asyncio.AbstractEventLoop) -> None:
    """Have every task of `loop` wait while another worker has the turn."""

    async def paced(coroutine: Any) -> Any:
        return await _Paced(coroutine)

    def factory(
        loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
    ) -> asyncio.Task[Any]:
        return asyncio.Task(paced(coroutine), loop=loop, **options)

    loop.set_task_factory(factory)


class Worlds:
    """Which apps are installed: only classes that restrict them alike run at once.

    TransactionTestCase.available_apps replaces the app registry for a whole test.
    """

    def __init__(self) -> None:
        self.apps: Any = None
        self.inside = 0
        self.changed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def of(self, suite: Any) -> AsyncIterator[None]:
        wanted = world(suite)
        while self.inside and self.apps != wanted:
            self.changed.clear()
            await self.changed.wait()
        self.apps = wanted
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1
            self.changed.set()


def world(suite: Any) -> frozenset[str] | None:
    """Return the apps that the class of `suite` is restricted to, or None."""
    available = getattr(type(next(iter(suite))), "available_apps", None)
    return frozenset(available) if isinstance(available, (list, tuple, set)) else None
