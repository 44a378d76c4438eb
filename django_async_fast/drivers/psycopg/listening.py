"""A block's connection that listens for notifications while nothing else uses it.

The server may send one at any time, and it is read with the answers of the statements
that are sent meanwhile. While there are none the socket is watched; that is not a
statement in flight: whoever wants the connection stops it (`settle`).
"""

from asyncio import Future
from collections import deque
from typing import Any

from psycopg import Notify, OperationalError, generators

from .connection import Connection


class Listener:
    """What one reader of some channels has received and not taken."""

    def __init__(self, channels: tuple[str, ...]) -> None:
        self.channels = channels
        self.received: deque[Notify] = deque()
        self.failure: BaseException | None = None
        self._waiting: Future[None] | None = None

    def receive(self, notify: Notify) -> None:
        """Keep a notification that is from one of its channels."""
        if notify.channel in self.channels:
            self.received.append(notify)
            self.wake()

    def fail(self, failure: BaseException) -> None:
        """Note why no more will come."""
        self.failure = failure
        self.wake()

    def wake(self) -> None:
        """Let the reader look again."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def waiting(self, loop: Any) -> Future[None]:
        """Return a future that the next `wake()` resolves."""
        self._waiting = loop.create_future()
        return self._waiting


class Listening:
    """The channels that a connection listens to, and who reads them.

    It is among what the connection settles for as long as the server may send.
    """

    def __init__(self, raw: Connection) -> None:
        self.raw = raw
        # What the server has been told, or perhaps been told.
        self.channels: set[str] = set()
        self.listeners: list[Listener] = []
        self._watching: Future[Any] | None = None

    def add(self, listener: Listener) -> None:
        """Let `listener` receive; whoever calls it sends LISTEN then."""
        if self.raw.listening is None:
            self.raw.listening = self
            self.raw.unsettled.insert(0, self)
            self.raw.add_notify_handler(self._receive)
        self.listeners.append(listener)
        self.channels.update(listener.channels)

    def remove(self, listener: Listener) -> list[str]:
        """Let it receive no more; return the channels that nobody else reads."""
        self.listeners.remove(listener)
        if not self.listeners:
            self._stop_watching()
        read = {name for each in self.listeners for name in each.channels}
        return [name for name in listener.channels if name not in read]

    def unlistened(self, channels: list[str]) -> None:
        """Note that the server sends nothing of `channels` any more."""
        read = {name for each in self.listeners for name in each.channels}
        self.channels -= set(channels) - read
        if not self.channels:
            self._forget()

    def end(self) -> None:
        """Have the server stop, before the connection goes back. Needs the gate."""
        self._stop_watching()
        gone = OperationalError("the connection has been given back")
        for each in self.listeners:
            each.fail(gone)
        self.listeners.clear()
        if self.channels:
            self.raw.wait(self.raw._exec_command(b"UNLISTEN *"))
        self.channels.clear()
        self._forget()

    def lost(self) -> None:
        """Tell the readers that the connection has been closed."""
        self._watching = None
        closed = OperationalError("the connection is closed")
        for each in self.listeners:
            each.fail(each.failure or closed)
        self._forget()

    def settle(self) -> None:
        """Leave the socket to a statement; the readers come back after it."""
        if self._stop_watching():
            for each in self.listeners:
                each.wake()

    def watch(self) -> None:
        """Watch the socket, until somebody uses the connection."""
        lock: Any = self.raw.lock
        lock.acquire(keep=self)
        try:
            if self._watching is not None:
                return
            self.raw._check_connection_ok()
            # What has come with the last answer.
            pgconn: Any = self.raw.pgconn
            while (notify := pgconn.notifies()) is not None:
                pgconn.notify_handler(notify)
            channel = self.raw.session.channel or self.raw._open_channel()
            operation = generators.notifies(pgconn)
            self._watching = channel.drive(operation, next(operation))
            self._watching.add_done_callback(self._watched)
        finally:
            lock.__exit__()

    def _stop_watching(self) -> bool:
        if self._watching is None:
            return False
        self._watching = None
        if self.raw.session.channel is not None:
            self.raw.session.channel.detach()
        return True

    def _watched(self, future: Future[Any]) -> None:
        if future is self._watching:
            self._watching = None
        failure = None if future.cancelled() else future.exception()
        for each in self.listeners:
            if failure is not None:
                each.fail(failure)
            each.wake()

    def _receive(self, notify: Notify) -> None:
        for each in self.listeners:
            each.receive(notify)

    def _forget(self) -> None:
        # It refers to the connection, which would refer to it until it is collected.
        if self in self.raw.unsettled:
            self.raw.unsettled.remove(self)
        if self.raw.listening is self:
            self.raw.listening = None
            self.raw.remove_notify_handler(self._receive)
