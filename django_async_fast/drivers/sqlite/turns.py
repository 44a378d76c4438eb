"""Long statements and the event loop take turns.

A statement runs in the loop's thread. When statements have run for a while without the
loop, SQLite's progress handler stops the one that runs; of those that are stopped, one
goes on in each of the loop's turns. So the loop stands still for one slice, however
many long statements there are.
"""

from asyncio import AbstractEventLoop, Future
from collections import deque
from contextvars import Context
from time import perf_counter
from weakref import WeakKeyDictionary, ref

from ... import bridge

# Seconds for which statements run without the loop.
SLICE = 0.001
# Most statements take less than a slice: so many are let go on in a turn.
AT_ONCE = 8


class Turns:
    """The slices of one event loop."""

    __slots__ = ("_again", "_asked", "_loop", "_waiting", "due")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = ref(loop)  # which is the key that this is kept under
        # When the slice is over; None before one begins.
        self.due: float | None = None
        # Whether the loop will say that it has had its turn.
        self._asked = False
        self._waiting: deque[Future[None]] = deque()
        # So many of the first have had a turn, of which others had all.
        self._again = 0

    def begin(self) -> None:
        """Begin a slice, or go on with the one that has begun; waits if it is over."""
        if self.due is None:
            self._begin(perf_counter())
        elif perf_counter() >= self.due and bridge.can_wait():
            self.wait()

    def wait(self) -> None:
        """Let the loop have its turn, and then those who have waited longer."""
        loop = bridge.current_loop()
        assert loop is not None
        place = len(self._waiting)
        while True:
            turn: Future[None] = loop.create_future()
            self._waiting.insert(place, turn)
            self._ask()
            bridge.await_(turn)
            now = perf_counter()
            if self.due is None:
                return self._begin(now)
            if now < self.due:
                return None
            place = self._again  # another has had all of this slice
            self._again += 1

    def _begin(self, now: float) -> None:
        self.due = now + SLICE
        self._ask()

    def _ask(self) -> None:
        if not self._asked:
            self._asked = True
            loop = self._loop()
            assert loop is not None
            # A statement's context must not live on in the loop; and one for all would
            # be entered by the loops of two threads.
            loop.call_soon(self._had, context=Context())

    def _had(self) -> None:
        self._asked, self._again, self.due = False, 0, None
        left = AT_ONCE
        while self._waiting and left:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                left -= 1
        if self._waiting:
            self._ask()


_turns: WeakKeyDictionary[AbstractEventLoop, Turns] = WeakKeyDictionary()


def turns_of(loop: AbstractEventLoop) -> Turns:
    """Return the turns of `loop`."""
    found = _turns.get(loop)
    if found is None:
        found = _turns[loop] = Turns(loop)
    return found
