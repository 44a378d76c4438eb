"""In line for a connection of psycopg's pool, with a plain future.

psycopg waits on a condition, under `wait_for()`, in a task that cannot be closed
halfway: all of that costs more than the statement that follows. Our places stand
in its own line, among its own, so whoever brings a connection serves the first,
and to close the pool fails them all. What `getconn()` does around the wait (count,
let the pool grow, give up in time) is done here.
"""

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import Context
from time import monotonic
from typing import Any

from .. import bridge
from ..drivers.psycopg.session import Session
from . import fast_checkout
from .waiting_client import WaitingClient


class WaitingLine:
    """Our clients in a pool's queue, and one timer for all of them."""

    def __init__(
        self,
        pool: fast_checkout.Pool,
        loop: AbstractEventLoop,
        lost: Callable[[Session], None],
    ) -> None:
        self.pool = pool
        self.loop = loop
        # Is given a connection whose receiver was broken off before it woke up.
        self.lost = lost
        self.timer: TimerHandle | None = None
        self.next = 0.0

    def join(self) -> WaitingClient | None:
        """Return a client that waits last, or None where psycopg has to decide."""
        pool = self.pool
        if (
            not fast_checkout.is_quiet(pool)
            or pool._check
            or pool._pool
            or pool.timeout <= 0.0
        ):
            return None
        if pool.max_waiting and len(pool._waiting) >= pool.max_waiting:
            return None
        client = WaitingClient(self.loop.create_future(), pool.timeout)
        pool._stats[pool._REQUESTS_NUM] += 1
        pool._stats[pool._REQUESTS_QUEUED] += 1
        pool._waiting.append(client)  # type: ignore[arg-type]
        pool._maybe_grow_pool()
        self._watch(client.deadline)
        return client

    def wait(self, client: WaitingClient) -> Session:
        """Return the connection that `client` is given."""
        pool = self.pool
        try:
            session = bridge.await_in_line(client.future)
        except BaseException:
            pool._stats[pool._REQUESTS_ERRORS] += 1
            self._leave(client)
            raise
        finally:
            waited = monotonic() - client.deadline + client.timeout
            pool._stats[pool._REQUESTS_WAIT_MS] += int(1000.0 * waited)
        session._pool = pool
        return session

    def _leave(self, client: WaitingClient) -> None:
        with suppress(ValueError):  # served, or the pool is closing
            self.pool._waiting.remove(client)  # type: ignore[arg-type]
        if (session := client.take_back()) is not None:
            session._pool = self.pool
            self.lost(session)

    # A timer for each wait would cost as much as the rest of it. With one, which
    # nobody stops, the pool is looked at once in `timeout` seconds.

    def _watch(self, deadline: float) -> None:
        if self.timer is not None:
            if self.next <= deadline:
                return
            self.timer.cancel()
        self.next = deadline
        # The context of whoever came first would live as long as the timer.
        self.timer = self.loop.call_later(
            deadline - monotonic(), self._expire, context=Context()
        )

    def _expire(self) -> None:
        self.timer = None
        now = monotonic()
        line: Iterable[Any] = self.pool._waiting
        ours = [each for each in line if type(each) is WaitingClient]
        for client in ours:
            if client.deadline <= now:
                client.give_up()
        if later := [each.deadline for each in ours if each.deadline > now]:
            self._watch(min(later))
