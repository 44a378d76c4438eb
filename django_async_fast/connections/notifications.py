"""Notifications of PostgreSQL's NOTIFY, read from a block's connection.

Other statements of the block go on while one waits: they take turns with the listening.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

from django.db import OperationalError
from django.db.transaction import TransactionManagementError
from psycopg import Notify

from .. import bridge
from ..bridge.closed_coroutines import being_closed
from ..drivers.psycopg.listening import Listener, Listening
from ..drivers.psycopg.transaction_status import IDLE
from ..tasks.gate_errors import ScopeTimeout

# Seconds before the first attempt to connect again, and the longest pause.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0


@asynccontextmanager
async def _time_limit(until: float | None) -> AsyncIterator[asyncio.Timeout]:
    """Let what is awaited inside end at `until`, as if it were done."""
    try:
        async with asyncio.timeout_at(until) as limit:
            yield limit
    except TimeoutError:
        if not limit.expired():
            raise


class Notifications:
    """`async for notify in conn.anotifies("channel"):`, each a `psycopg.Notify`.

    Listens from the first step on, or from `async with` on, until its end.
    """

    def __init__(
        self,
        wrapper: Any,
        channels: tuple[str, ...],
        timeout: float | None,
        reconnect: bool,
    ) -> None:
        self._wrapper = wrapper
        self._channels, self._listener = channels, Listener(channels)
        self._timeout, self._reconnect = timeout, reconnect
        self._listening: Listening | None = None

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(
        self, exc_type: Any = None, exc: Any = None, traceback: Any = None
    ) -> None:
        if not being_closed(exc):
            await self._stop()

    async def __aiter__(self) -> AsyncIterator[Notify]:
        """Yield notifications until `timeout` seconds have gone by.

        Raises OperationalError when the connection is lost, unless it `reconnect`s.
        """
        entered = self._listening is not None
        loop = asyncio.get_running_loop()
        until = None if self._timeout is None else loop.time() + self._timeout
        async with _time_limit(until) as limit:
            if not entered:
                await self._start()
        if limit.expired():
            return
        try:
            while (notify := await self._next(until)) is not None:
                yield notify
        finally:
            if not entered:
                await self._stop()

    async def _next(self, until: float | None) -> Notify | None:
        received = self._listener.received
        if not received:
            async with _time_limit(until):
                while not received:
                    await self._wait()
        return received.popleft() if received else None

    async def _wait(self) -> None:
        woken = self._listener.waiting(asyncio.get_running_loop())
        try:
            await bridge.run(self._watch)
            if not self._listener.received:
                await woken
            if self._listener.failure is not None:
                with self._wrapper.wrap_database_errors:
                    raise self._listener.failure
        except ScopeTimeout:
            return  # another task's transaction: nothing would come anyway
        except OperationalError:
            if not self._reconnect:
                raise
            await self._start_again()

    async def _start_again(self) -> None:
        pause = FIRST_PAUSE
        while True:
            self._leave()
            try:
                await self._start()
            except OperationalError:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                return

    async def _start(self) -> None:
        try:
            await bridge.run(self._listen)
        except BaseException:
            await self._stop()
            raise

    async def _stop(self) -> None:
        """Have the server stop. Broken off, the block's end sees to it."""
        listening = self._listening
        unread = self._leave()
        if listening is None or not unread or listening.raw.closed:
            return
        if self._wrapper.connection is listening.raw and self._wrapper.block.open:
            await bridge.run(self._unlisten, listening, unread)

    def _leave(self) -> list[str]:
        """Receive no more; return what the server is still to be told of."""
        listening, self._listening = self._listening, None
        self._listener.failure = None
        if listening is None or self._listener not in listening.listeners:
            return []
        return listening.remove(self._listener)

    # ----- on the bridge

    def _listen(self) -> None:
        wrapper = self._wrapper
        if wrapper.gate.caller_scope() is not wrapper.gate.root:
            raise TransactionManagementError(
                "PostgreSQL sends no notifications in a transaction: call anotifies() "
                "outside of `atomic()`."
            )
        wrapper.ensure_connection()
        with wrapper.cursor() as cursor:
            raw = wrapper.connection
            self._listening = raw.listening or Listening(raw)
            self._listening.add(self._listener)
            cursor.execute(self._command("LISTEN", self._channels))
        if raw.pgconn.transaction_status != IDLE:
            raise TransactionManagementError(
                "PostgreSQL sends no notifications in a transaction, and "
                f"'{wrapper.alias}' is not in autocommit mode here."
            )

    def _unlisten(self, listening: Listening, channels: list[str]) -> None:
        with self._wrapper.cursor() as cursor:
            cursor.execute(self._command("UNLISTEN", channels))
        listening.unlistened(channels)

    def _watch(self) -> None:
        listening = self._listening
        with self._wrapper.wrap_database_errors:
            if listening is None or self._wrapper.connection is not listening.raw:
                self._wrapper._check_block()
                raise OperationalError(
                    f"The connection to '{self._wrapper.alias}' that anotifies() "
                    "listened on has been lost or closed."
                )
            listening.watch()

    def _command(self, verb: str, channels: Any) -> str:
        # Not by `quote_name()`, which leaves what is quoted.
        names = ['"{}"'.format(name.replace('"', '""')) for name in channels]
        return "; ".join(f"{verb} {name}" for name in names)
