"""Notice that a client leaves before he has his response.

ASGI tells it to whoever asks for the next message, which takes a task. Most requests
are served before anybody could leave: a client is listened to when he has been there
for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any

from django.core.exceptions import RequestAborted

from ..bridge import stall_watch

# Seconds from one look at the clients to the next; in the second they are listened to.
PAUSE = 0.05


class Client:
    """Waits for a response; if he leaves, the task that makes it is cancelled.

    `with` lasts as long as he waits, and ends quietly where he has left.
    """

    __slots__ = (
        *("_cancelled", "_cancelling", "_clients", "_context", "_listen"),
        *("_listener", "_served", "_task"),
    )

    def __init__(
        self, clients: Clients, listen: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        task = asyncio.current_task(clients.loop)
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._cancelled = self._served = False
        self._listen = listen
        self._listener: asyncio.Task[None] | None = None
        self._context = copy_context()
        self._clients = clients
        clients.new.add(self)
        if not clients.looks:
            clients.look_later()

    def serve(self) -> None:
        """Listen no more: the client has the response, or what was to be made of it."""
        self._served = True
        if self._listener is None:
            self._clients.new.discard(self)
            self._clients.seen.discard(self)
        elif not self._listener.get_loop().is_closed():
            self._listener.cancel()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, exc: BaseException | None, tb: object) -> bool:
        try:
            return isinstance(exc, asyncio.CancelledError) and self._has_left()
        finally:
            if self._cancelled:
                self._take_back()
            if not self._served:
                self.serve()

    def _has_left(self) -> bool:
        """Tell whether the task was cancelled because he has left, and for no more.

        Takes back that cancellation. Raises what the server has sent in place of a
        disconnect.
        """
        if not self._cancelled or self._take_back() > self._cancelling:
            return False
        assert self._listener is not None
        failure = self._listener.exception()
        if failure is not None and not isinstance(failure, RequestAborted):
            raise failure
        return True

    def _take_back(self) -> int:
        """Return how many cancellations of the task are left without his leaving."""
        cancelled, self._cancelled = self._cancelled, False
        return self._task.uncancel() if cancelled else self._task.cancelling()

    def listen(self) -> None:
        """Notice from now on that he leaves."""
        task = asyncio.create_task(self._listen(), context=self._context)
        task.add_done_callback(self._listener_ended)
        self._listener = task

    def _listener_ended(self, listener: asyncio.Task[None]) -> None:
        if listener.cancelled():
            return
        listener.exception()  # else the loop says that nobody has seen it
        # Servers say that he has left also when he has all of the response.
        if not self._served:
            self._cancelled = self._task.cancel()


class Clients:
    """The clients of one event loop that nobody listens to yet.

    Those who are still there when it is time are listened to.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.new: set[Client] = set()
        self.seen: set[Client] = set()
        self.looks = False

    def look_later(self) -> None:
        self.looks = True
        # Not for each request: they are served on this loop as long as it looks.
        stall_watch.watch(self.loop)
        # Not in the context of a request, which would outlive it there.
        self.loop.call_later(PAUSE, self._look, context=Context())

    def _look(self) -> None:
        for client in self.seen:
            client.listen()
        self.seen, self.new = self.new, set()
        self.looks = False
        if self.seen:
            self.look_later()
