"""One connection's socket, registered with the event loop once.

psycopg's operations are generators that yield what they wait for. Its own
`wait_async` registers and unregisters the socket for every wait; here the
registration stays, and the reader callback drives the generator itself, so a
round trip costs one awaited future and no system call but `recv`. With the core the
task goes on in the callback that has the result, not in the loop's next turn.
"""

from __future__ import annotations

import select
from asyncio import AbstractEventLoop, Future, TimerHandle
from collections.abc import Callable, Generator
from contextlib import suppress
from contextvars import Context
from functools import partial
from operator import attrgetter
from time import monotonic
from typing import Any

from psycopg import errors, pq
from psycopg.waiting import Ready, Wait

from ... import _native

BAD = pq.ConnStatus.BAD

# How long one callback may serve a socket that always has more, in seconds.
BUSY_LIMIT = 0.001

# Steps in which an operation without a socket has to have ended.
LAST_STEPS = 100

# How a wait ends. The core's future lets its task go on before these return. And what
# the loop calls where a socket is readable.
new_future: Any
resolve: Callable[[Any, Any], None]
fail: Callable[[Any, BaseException], None]
reader: Callable[[Channel], Callable[[], None]]
if _native.COMPILED:
    new_future = _native.rows.Wait
    resolve, fail = new_future.resolve, new_future.fail
    reader = partial(_native.rows.Readable, ready=Ready.R)
else:
    new_future, resolve, fail = Future, Future.set_result, Future.set_exception
    reader = attrgetter("readable")


class Channel:
    """Drives the generators of one libpq connection on one event loop."""

    __slots__ = (
        *("_fd", "_future", "_gen", "_loop", "_pgconn", "_poll", "_reading", "_timer"),
        *("_writing", "context"),
    )

    def __init__(self, pgconn: Any, loop: AbstractEventLoop) -> None:
        self._pgconn = pgconn
        self._loop = loop
        self._fd: int = pgconn.socket
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._gen: Generator[Any, Any, Any] | None = None
        self._future: Future[Any] | None = None
        self._timer: TimerHandle | None = None
        self._reading = self._writing = False
        # Whose the next answer is, where that is not the task that waits for the end.
        self.context: Context | None = None

    @property
    def busy(self) -> bool:
        """Tell whether an operation has begun and not ended."""
        return self._gen is not None

    def run_for_waiting(self, function: Callable[..., Any], *args: Any) -> None:
        """Call `function` in the context of the task that waits for the answer."""
        context = self.context
        if context is None:
            context = getattr(self._future, "context", None)
        if context is None:
            function(*args)
        else:
            context.run(function, *args)

    def drive(
        self, gen: Generator[Any, Any, Any], wants: int, timeout: float | None = None
    ) -> Future[Any]:
        """Return the future result of `gen`, which has asked for `wants`."""
        self._gen = gen
        self._future = future = new_future(loop=self._loop)
        if timeout is not None:
            self._timer = self._loop.call_later(
                timeout, self._expire, context=Context()
            )
        if self._pgconn.status == BAD:
            self.advance(Ready.RW)
        else:
            self._watch(wants)
        return future

    def detach(self) -> None:
        """Stop driving: whoever awaited has gone. The operation is not over."""
        self._end()

    def close(self) -> None:
        """Unregister the socket; an operation in progress fails."""
        future = self._end()
        if future is not None and not future.done():
            future.set_exception(errors.OperationalError("the connection is closed"))
            future.exception()  # perhaps nobody is left to hear it
        self._stop_reading()
        self._stop_writing()

    def _watch(self, wants: int) -> None:
        if wants & Wait.R and not self._reading:
            # Not in the context of whoever begins: it lasts for others, and would keep
            # all that a request has.
            Context().run(self._loop.add_reader, self._fd, reader(self))
            self._reading = True
        if wants & Wait.W:
            Context().run(self._loop.add_writer, self._fd, self._writable)
            self._writing = True

    def readable(self) -> None:
        """Go on with the operation that waits to read."""
        if self._gen is None or self._future is None or self._future.done():
            # Readable although idle: a notice, or the server closed the connection.
            # The next operation reads it; until then it must not wake the loop.
            self._stop_reading()
        else:
            self.advance(Ready.R)

    def _writable(self) -> None:
        self._stop_writing()
        if self._gen is not None:
            self.advance(Ready.W)

    def advance(self, ready: int, wants: int | None = None) -> None:
        """Go on with the operation; what it `wants` next, if it has gone on already."""
        gen = self._gen
        assert gen is not None
        limit = 0.0
        result, error = None, None
        try:
            if wants is None:
                wants = gen.send(ready)
            while True:
                if self._pgconn.status == BAD:
                    self._end_without_socket(gen)
                # Reading on costs a poll; a trip through the loop costs ten.
                if wants != Wait.R or not self._poll.poll(0):
                    break
                now = monotonic()
                if not limit:
                    limit = now + BUSY_LIMIT
                elif now > limit:
                    break
                wants = gen.send(Ready.R)
            self._watch(wants)
            return
        except StopIteration as stop:
            result = stop.value
        except BaseException as exc:
            error = exc
        # Not while an exception is handled: a task may go on from here.
        try:
            self.settle(result, error)
        finally:
            del error  # which knows this frame

    def _end_without_socket(self, gen: Generator[Any, Any, Any]) -> None:
        """Let an operation tell what it knows; libpq has closed the socket.

        Nothing may be watched then: of a closed socket an event loop hears nothing,
        and its number may be another file's.
        """
        for _ in range(LAST_STEPS):
            gen.send(Ready.RW)
        raise OSError

    def settle(self, result: Any, error: BaseException | None) -> None:
        """End the operation; whoever awaits it goes on."""
        future = self._end()
        if self._pgconn.status == BAD:
            # libpq has closed the socket: forget the number before it is reused.
            self._stop_reading()
            self._stop_writing()
        if future is None or future.done():
            return
        # From here on the channel may be somebody else's.
        if error is None:
            resolve(future, result)
        elif isinstance(error, OSError):
            fail(future, errors.OperationalError("connection socket closed"))
        else:
            fail(future, error)

    def _end(self) -> Future[Any] | None:
        future, self._future, self._gen, self.context = self._future, None, None, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing:
            self._stop_writing()
        return future

    def _expire(self) -> None:
        future = self._end()
        if future is not None and not future.done():
            future.set_exception(errors._WaitTimeout("wait timeout expired"))

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._stop(self._loop.remove_reader)

    def _stop_writing(self) -> None:
        if self._writing:
            self._writing = False
            self._stop(self._loop.remove_writer)

    def _stop(self, remove: Callable[[int], bool]) -> None:
        if not self._loop.is_closed():
            # asyncio asks the system, which no longer knows a socket that is closed.
            with suppress(OSError):
                remove(self._fd)
