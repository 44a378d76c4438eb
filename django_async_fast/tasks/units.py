"""A bridged call is a unit, as the code of one thread is in stock Django.

From its first statement to its end it has the turn of each connection that it uses: the
statements of other calls wait, but for those of calls that are part of it. Calls that
come meanwhile wait before they begin, so that what they find in Python, a queryset's
rows or a lazy object, is what it has left.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Future, Task, TimerHandle
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextvars import Context
from time import monotonic
from typing import Any, Protocol, TypeVar

from .. import bridge, conf

T = TypeVar("T")

# Seconds from one look at those who wait to the next.
LOOK = 0.1


class Holds(Protocol):
    """What a call has until its end."""

    def let_go(self, call: bridge.Call) -> None: ...


class Turn:
    """A place in a line."""

    __slots__ = ("call", "future", "line", "since")

    def __init__(self, call: bridge.Call, line: Line, loop: AbstractEventLoop) -> None:
        self.call = call
        self.line = line
        self.future: Future[None] = loop.create_future()
        self.since = monotonic()
        call.note_task(loop)

    def waits_for(self) -> list[bridge.Call]:
        """Return the units whose end it waits for."""
        return [call for call in self.line.holders() if not self.call.is_inside(call)]

    def is_deadlocked(self) -> bool:
        """Tell whether one of those is seen to wait for the call in this place."""
        todo, seen = self.waits_for(), set()
        while todo:
            call = todo.pop()
            if call in seen:
                continue
            seen.add(call)
            if call.waits_with is not None:
                others = call.waits_with.waits_for()
                if any(self.call.is_inside(other) for other in others):
                    return True
                todo += others
            elif any(task is self.call.task for task in _awaited_by(call)):
                return True
        return False


def _awaited_by(call: bridge.Call) -> Iterator[Task[Any]]:
    """Yield the tasks that the code of `call` waits for, as far as they can be seen."""
    todo: list[Any] = [call.task]
    seen = {call.task}
    while todo:
        future = getattr(todo.pop(), "_fut_waiter", None)
        for each in (future, *getattr(future, "_children", ())):  # of a gather()
            if isinstance(each, Task) and each not in seen:
                yield each
                seen.add(each)
                todo.append(each)


class Line:
    """Those who wait for their turn: first come, first served.

    While there are any, one timer looks after all of them.
    """

    # Made when somebody joins: nobody waits in most blocks.
    waiting: Collection[Any] = ()
    # When somebody's turn came, or was over, while others waited.
    progress = 0.0
    _timer: TimerHandle | None = None

    def holders(self) -> Iterable[bridge.Call]:
        """Return the units that those in the line may be waiting for."""
        raise NotImplementedError

    def deadlocked(self, turn: Any) -> None:
        """See to a `turn` that would never come."""
        raise NotImplementedError

    def overdue(self, turn: Any, timeout: float) -> None:
        """See to a `turn` when nobody has made progress for `timeout` seconds."""
        raise NotImplementedError

    def join(self, turn: Turn, loop: AbstractEventLoop) -> None:
        """Wait at the end of the line."""
        if not isinstance(self.waiting, deque):
            self.waiting = deque()
        self.waiting.append(turn)
        if self._timer is None:
            self._watch(loop)

    def leave(self, turn: Turn) -> None:
        """Take `turn` out of the line."""
        assert isinstance(self.waiting, deque)
        self.waiting.remove(turn)
        if not self.waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self, loop: AbstractEventLoop) -> None:
        pause = min(LOOK, conf.get("SCOPE_TIMEOUT") or LOOK)
        # The context of whoever came first would live as long as the timer.
        self._timer = loop.call_later(pause, self._look, loop, context=Context())

    def _look(self, loop: AbstractEventLoop) -> None:
        self._timer = None
        timeout = conf.get("SCOPE_TIMEOUT")
        now = monotonic()
        if now - self.progress >= LOOK:
            for turn in [turn for turn in self.waiting if not turn.future.done()]:
                if turn.is_deadlocked():
                    self.deadlocked(turn)
                elif timeout and now - max(self.progress, turn.since) >= timeout:
                    self.overdue(turn, timeout)
        if self.waiting and self._timer is None:
            self._watch(loop)


class Units(Line):
    """The units of one block, and the calls that wait to begin."""

    # Each after those that it is part of. A worker stands for the call that it serves,
    # if that is the only one. A list, from the first on.
    calls: Any = ()

    def known(self) -> list[bridge.Call]:
        """Return the units, each after those that it is part of."""
        if self.calls and type(self.calls[0]) is bridge.Worker:
            self.calls[0].known_call()
        return self.calls

    def holder(self, gate: Holds) -> bridge.Call | None:
        """Return the innermost unit that has the turn of `gate`."""
        for call in reversed(self.known()):
            if gate in call.held:
                return call
        return None

    def take(self, call: bridge.Call, gate: Holds) -> None:
        """Give `call`, and those that it is part of, the turn of `gate`."""
        around = call.around
        if around is not None and not around.over:
            self.take(around, gate)
        if call not in self.calls:
            self.calls = [*self.calls, call]
        if gate not in call.held:
            call.held.append(gate)

    def revoke(self, gate: Holds, but: bridge.Call | None) -> None:
        """Take the turn of `gate` from all but `but` and those that it is part of."""
        for call in [*self.known()]:
            if gate in call.held and not (but is not None and but.is_inside(call)):
                call.held.remove(gate)
                if not call.held:
                    self.calls.remove(call)

    def let_go(self, call: bridge.Call) -> None:
        """`call`, which was a unit from its start, is over."""
        if call in self.calls:
            self.calls.remove(call)
        if self.waiting:
            self.start_next()

    # ----- calls that wait to begin

    def hold_up(self, call: bridge.Call | None) -> bool:
        """Tell whether `call`, before it begins, has to wait for a unit."""
        for each in self.known():
            # One that waits for somebody's transaction may be waiting for this call.
            if each.waits_with is None and not (call and call.is_inside(each)):
                return True
        return False

    def start_next(self) -> None:
        """Let the first that need not wait for a unit begin."""
        for turn in self.waiting:
            if not turn.future.done() and not self.hold_up(turn.call):
                self._start(turn)
                return

    def start_all(self) -> None:
        """Let them begin: the block has ended, and will tell them."""
        for turn in [*self.waiting]:
            if not turn.future.done():
                self._start(turn)

    def _start(self, turn: Turn) -> None:
        self.leave(turn)
        self.progress = monotonic()
        # A unit from the start, else the next would begin before its first statement.
        self.calls = [*self.calls, turn.call]
        turn.call.held.append(self)
        turn.future.set_result(None)

    def holders(self) -> Iterable[bridge.Call]:
        return self.known()

    def deadlocked(self, turn: Turn) -> None:
        self._start(turn)  # if it needs the connection, it is told

    def overdue(self, turn: Turn, timeout: float) -> None:
        self._start(turn)

    async def run(self, func: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Do as `bridge.run()` does, when the units of other calls are over."""
        call, function = bridge.Call(bridge.call_around()), [kwargs, args, func]
        # Tools show the frames around a query: to show a queryset is another one.
        del func, args, kwargs
        await self.wait_to_begin(call)
        return await bridge.run(_run, call, function)

    async def wait_to_begin(self, call: bridge.Call) -> None:
        """Wait until the units that `call` is not part of are over."""
        if not self.calls or not self.hold_up(call):
            return
        loop = asyncio.get_running_loop()
        turn = Turn(call, self, loop)
        if turn.is_deadlocked():
            return
        self.join(turn, loop)
        try:
            await turn.future
        except BaseException:
            if turn in self.waiting:
                self.leave(turn)
            call.end()
            raise


def _run(call: bridge.Call, function: list[Any]) -> Any:
    bridge.begin(call)
    return function.pop()(*function.pop(), **function.pop())
