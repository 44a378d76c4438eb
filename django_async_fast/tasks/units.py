"""A bridged call is a unit, as the code of one thread is in stock Django.

From its first statement to its end it holds the gate of each connection that it uses:
statements of other calls wait, but for those of calls that are part of it. Calls that
come meanwhile wait before they begin, so that what they find in Python, a queryset's
rows or a lazy object, is what it has left.
"""

from __future__ import annotations

import asyncio
import os
from asyncio import AbstractEventLoop, Future, Task, TimerHandle
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextvars import Context
from time import monotonic
from typing import Any, TypeVar

from .. import _native, bridge, conf

T = TypeVar("T")

# Seconds from one look at those who wait to the next.
LOOK = 0.1


# How many calls that wait next to each other may begin together, to read.
MOST_READS = 100


class Read:
    """What is known of a call that does one read of the database and no more."""

    __slots__ = ("keeper", "ready")

    def __init__(self, keeper: object) -> None:
        # What keeps what is read, if something does: with another call it is shared.
        self.keeper = keeper
        # Whether the next statement of the call is the one, and nothing of the
        # project's is called with what it finds.
        self.ready = False


# Tells of a function, as `run()` is given it with its arguments, whether it is such a
# read: `querysets/compiled/single_reads.py`.
as_read: Callable[[list[Any]], Read | None] | None = None

if _native.COMPILED:
    os.register_at_fork(after_in_child=_native.rows.forget_readers)


class Waiter:
    """A call in a queue, woken through a future."""

    __slots__ = ("call", "counted", "future", "queue", "read", "since")

    def __init__(
        self, call: bridge.Call, queue: WaiterQueue, loop: AbstractEventLoop
    ) -> None:
        self.call = call
        self.queue = queue
        self.future: Future[None] = loop.create_future()
        self.read: Read | None = None
        self.counted: Any = None
        self.since = monotonic()
        call.set_task(loop)

    def waits_for(self) -> list[bridge.Call]:
        """Return the units whose end it waits for."""
        return [call for call in self.queue.holders() if not self.call.is_inside(call)]

    def is_deadlocked(self) -> bool:
        """Tell whether one of those is seen to wait for this call."""
        todo, seen = self.waits_for(), set()
        while todo:
            call = todo.pop()
            if call in seen:
                continue
            seen.add(call)
            if call.waiter is not None:
                others = call.waiter.waits_for()
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


class WaiterQueue:
    """Waiters, first come, first served; while there are any, one timer checks them."""

    # Made when somebody joins: nobody waits in most blocks.
    waiting: Collection[Any] = ()
    # When a waiter was last served, or what it waited for was over.
    progress = 0.0
    _timer: TimerHandle | None = None

    def holders(self) -> Iterable[bridge.Call]:
        """Return the units that the waiters may be waiting for."""
        raise NotImplementedError

    def deadlocked(self, waiter: Any) -> None:
        """End the wait of `waiter`, which would last for ever."""
        raise NotImplementedError

    def overdue(self, waiter: Any, timeout: float) -> None:
        """End the wait of `waiter`: for `timeout` seconds there was no progress."""
        raise NotImplementedError

    def append(self, waiter: Waiter, loop: AbstractEventLoop) -> None:
        """Append `waiter`."""
        if not isinstance(self.waiting, deque):
            self.waiting = deque()
        self.waiting.append(waiter)
        if self._timer is None:
            self._watch(loop)

    def remove(self, waiter: Waiter) -> None:
        """Remove `waiter`."""
        assert isinstance(self.waiting, deque)
        self.waiting.remove(waiter)
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
            for waiter in [*self.waiting]:
                if waiter.future.done():
                    continue
                if waiter.is_deadlocked():
                    self.deadlocked(waiter)
                elif timeout and now - max(self.progress, waiter.since) >= timeout:
                    self.overdue(waiter, timeout)
        if self.waiting and self._timer is None:
            self._watch(loop)


class Units(WaiterQueue):
    """The units of one block, and the calls that wait to begin."""

    # Each after those that it is part of. A worker stands for the call that it serves,
    # if that is the only one. A list, from the first on.
    calls: Any = ()

    def known(self) -> list[bridge.Call]:
        """Return the units, each after those that it is part of."""
        if self.calls and type(self.calls[0]) is bridge.Worker:
            self.calls[0].get_call()
        return self.calls

    def holder(self, gate: WaiterQueue) -> bridge.Call | None:
        """Return the innermost unit that holds `gate`, or None."""
        for call in reversed(self.known()):
            if gate in call.held_gates:
                return call
        return None

    def take(self, call: bridge.Call, gate: WaiterQueue) -> None:
        """Let `call`, and those that it is part of, hold `gate`."""
        outer = call.outer
        if outer is not None and not outer.over:
            self.take(outer, gate)
        if call not in self.calls:
            self.calls = [*self.calls, call]
        if gate not in call.held_gates:
            call.held_gates.append(gate)

    def revoke(self, gate: WaiterQueue, but: bridge.Call | None) -> None:
        """Take `gate` from all but `but` and those that it is part of."""
        for call in [*self.known()]:
            if gate in call.held_gates and not (but and but.is_inside(call)):
                call.held_gates.remove(gate)
                if not call.held_gates:
                    self.calls.remove(call)

    def call_ended(self, call: bridge.Call) -> None:
        """Remove `call`, which was a unit from its start."""
        if call in self.calls:
            self.calls.remove(call)
        if self.waiting:
            self.start_next()

    # ----- calls that wait to begin

    def must_wait(self, call: bridge.Call | None) -> bool:
        """Tell whether `call`, before it begins, has to wait for a unit."""
        for each in self.known():
            # One that waits for somebody's transaction may be waiting for this call.
            if each.waiter is None and not (call and call.is_inside(each)):
                return True
        return False

    def start_next(self) -> None:
        """Let the first that need not wait for a unit begin."""
        for waiter in self.waiting:
            if not waiter.future.done() and not self.must_wait(waiter.call):
                self._start(waiter)
                return

    def reads_wait(self, call: bridge.Call) -> bool:
        """Tell whether calls wait next that may begin together with `call`.

        All of them are reads, of nothing that is kept where another would find it.
        """
        return self.calls == [call] and bool(self._next_reads(call))

    def start_reads(self, call: bridge.Call) -> None:
        """Let them begin."""
        for waiter in self._next_reads(call):
            self._start(waiter)

    def _next_reads(self, call: bridge.Call) -> list[Waiter]:
        found: list[Waiter] = []
        kept = [call.read.keeper]
        for waiter in self.waiting:
            if waiter.future.done():
                continue  # cancelled, and about to leave
            read = waiter.read
            if read is None or len(found) == MOST_READS:
                break
            if read.keeper is not None:
                if any(read.keeper is each for each in kept):
                    break
                kept.append(read.keeper)
            found.append(waiter)
        return found

    def start_all(self) -> None:
        """Let them begin: the block has ended, and will tell them."""
        for waiter in [*self.waiting]:
            if not waiter.future.done():
                self._start(waiter)

    def _start(self, waiter: Waiter) -> None:
        self.remove(waiter)
        waiter.call.read = waiter.read
        self.progress = monotonic()
        # A unit from the start, else the next would begin before its first statement.
        self.calls = [*self.calls, waiter.call]
        waiter.call.held_gates.append(self)
        waiter.future.set_result(None)

    def holders(self) -> Iterable[bridge.Call]:
        return self.known()

    def deadlocked(self, waiter: Waiter) -> None:
        self._start(waiter)  # if it needs the connection, it is told

    def overdue(self, waiter: Waiter, timeout: float) -> None:
        self._start(waiter)

    async def run(self, func: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Do as `bridge.run()` does, when the units of other calls are over."""
        call, function = bridge.Call(bridge.enclosing_call()), [kwargs, args, func]
        # Tools show the frames around a query: to show a queryset is another one.
        del func, args, kwargs
        await self.wait_to_begin(call, function)
        return await bridge.run(_run, call, function)

    def append(self, waiter: Waiter, loop: AbstractEventLoop) -> None:
        super().append(waiter, loop)
        if waiter.read is not None:
            waiter.counted = _native.rows.WaitingRead()

    def remove(self, waiter: Waiter) -> None:
        super().remove(waiter)
        waiter.counted = None

    async def wait_to_begin(
        self, call: bridge.Call, function: list[Any] | None = None
    ) -> None:
        """Wait until the units that `call` is not part of are over.

        `function` is what it is going to call, after its arguments.
        """
        if not self.calls or not self.must_wait(call):
            return
        loop = asyncio.get_running_loop()
        waiter = Waiter(call, self, loop)
        if waiter.is_deadlocked():
            return
        if function is not None and as_read is not None and call.outer is None:
            waiter.read = as_read(function)
        self.append(waiter, loop)
        try:
            await waiter.future
        except BaseException:
            if waiter in self.waiting:
                self.remove(waiter)
            call.end()
            raise


def _run(call: bridge.Call, function: list[Any]) -> Any:
    bridge.begin_call(call)
    return function.pop()(*function.pop(), **function.pop())
