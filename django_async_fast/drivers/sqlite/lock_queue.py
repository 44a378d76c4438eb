"""Those who wait for a locked database, in the order in which they came.

SQLite's own busy timeout sleeps, and the loop with it: the transaction that has the
lock may be another block's of this loop, which could then never end. So the timeout is
0, and who finds the database locked waits here. One at a time tries again, when a
statement of this loop has ended, and now and then for the sake of other processes.
"""

from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from ... import bridge
from .shared_cache import SharedCache, is_shared

T = TypeVar("T")

# Seconds between attempts; SQLite's own timeout begins with the same.
PAUSES = 0.001, 0.002, 0.005, 0.010, 0.015, 0.020, 0.025


class LockQueue:
    """Those who wait for one database, on one event loop."""

    __slots__ = ("__weakref__", "cache", "waiting")

    def __init__(self, database: str) -> None:
        self.waiting: list[_Waiter] = []
        # That of its connections, if they share one.
        self.cache = SharedCache() if is_shared(database) else None

    def retry(
        self,
        attempt: Callable[[], T],
        is_locked: Callable[[Exception], bool],
        timeout: float,
        first: bool,
    ) -> T:
        """Return what `attempt()` does when the database is not locked any more.

        Who holds a lock that others wait for comes `first`. Raises the attempt's error
        when the database is still locked after `timeout` seconds.
        """
        waiter = _Waiter()
        self.waiting.insert(0 if first else len(self.waiting), waiter)
        end = monotonic() + timeout
        try:
            while True:
                last = not waiter.wait(self, end)
                try:
                    return attempt()
                except Exception as exc:
                    if last or not is_locked(exc):
                        raise
        finally:
            self.waiting.remove(waiter)
            self.wake()

    def wake(self) -> None:
        """Let the first try again."""
        if self.waiting:
            self.waiting[0].wake()


class _Waiter:
    """A statement that waits."""

    __slots__ = ("_attempts", "_turn")

    def __init__(self) -> None:
        self._attempts = 0
        self._turn: Future[None] | None = None

    def wait(self, queue: LockQueue, end: float) -> bool:
        """Wait until it is time for an attempt; False if that is the last."""
        loop = bridge.current_loop()
        assert loop is not None
        while (left := end - monotonic()) > 0:
            is_first = queue.waiting[0] is self
            pause = left
            if is_first:
                pause = min(left, PAUSES[min(self._attempts, len(PAUSES) - 1)])
                self._attempts += 1
            self._turn = loop.create_future()
            timer = loop.call_later(pause, self.wake)
            try:
                bridge.await_(self._turn)
            finally:
                timer.cancel()
                self._turn = None
            if queue.waiting[0] is self:
                return True
        return False

    def wake(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)


_queues: WeakKeyDictionary[AbstractEventLoop, WeakValueDictionary[Any, LockQueue]]
_queues = WeakKeyDictionary()


def lock_queue_of(loop: AbstractEventLoop, database: str) -> LockQueue:
    """Return the queue for the database of this name on `loop`."""
    queues = _queues.setdefault(loop, WeakValueDictionary())
    found = queues.get(database)
    if found is None:
        found = queues[database] = LockQueue(database)
    return found
