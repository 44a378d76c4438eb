"""A statement that was broken off: cancelled on the server, and its answer read.

The connection is idle or closed then, never in a state that nobody knows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator
from time import monotonic
from typing import TYPE_CHECKING, Any

import psycopg

from ... import bridge
from .channel import Channel
from .transaction_status import ACTIVE, IDLE, IN_TRANSACTION

if TYPE_CHECKING:
    from ...tasks.gates import Gate
    from .connection import Connection

_ENDED = (IDLE, *IN_TRANSACTION)

logger = logging.getLogger("django_async_fast")

# Seconds a cancelled statement may take to be cancelled, then to end, before
# its socket is closed. The same bounds as psycopg's.
CANCEL_TIMEOUT = 5.0
DRAIN_TIMEOUT = 5.0
# A request that reaches the server before it has begun the statement has no
# effect: it is repeated after these shares of the time to drain, which is that of
# all statements that were sent together.
DRAIN_SHARES = (0.02, 0.08, 0.3, 0.6)


class UnwantedTransaction:
    """A transaction that nobody will end: its BEGIN was broken off too late."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ending = connection._exec_command(b"ROLLBACK")

    def settle(self) -> None:
        """Roll it back, before the connection's next statement."""
        self._connection.wait(self._ending, resumable=True)
        self._connection.unsettled.remove(self)


def cancel_statement(
    connection: Connection,
    gen: Generator[Any, Any, Any],
    channel: Channel,
    exc: BaseException,
) -> None:
    """Leave the connection idle or closed after a wait that was broken off."""
    if connection.session.inherited:
        return  # the parent goes on waiting
    channel.detach()
    if connection.pgconn.transaction_status != ACTIVE:
        return
    if isinstance(exc, (GeneratorExit, bridge.GreenletExit)):
        connection.drop()  # nobody is left to await a cancellation
        return
    try:
        bridge.await_(_cancel_and_drain(connection, gen, channel))
    except BaseException as second:
        if isinstance(second, psycopg.Error) and _is_over(connection.pgconn):
            return  # cancelled, or by an error of its own before
        # Cancelled again, or the server is silent: the state is unknown
        # (psycopg issues 1371 and 1435).
        logger.warning("closing a connection: could not cancel (%r)", second)
        connection.drop()
        if not isinstance(second, Exception):
            raise


def _is_over(pgconn: Any) -> bool:
    return pgconn.transaction_status in _ENDED and not pgconn.pipeline_status


async def _cancel_and_drain(
    connection: Connection, gen: Generator[Any, Any, Any], channel: Channel
) -> None:
    deadline = 0.0
    ended = False
    while not ended:
        # Of statements that were sent together a request stops the one at work.
        before = connection.gate.progress
        for share in DRAIN_SHARES:
            asked = await _ask_to_cancel(connection)
            if connection.freed:
                return  # by another task, meanwhile
            now = monotonic()
            deadline = deadline or now + DRAIN_TIMEOUT
            patience = share * DRAIN_TIMEOUT if asked else DRAIN_TIMEOUT
            patience = min(patience, deadline - now)
            last = patience == deadline - now or share == DRAIN_SHARES[-1]
            answers = _until_progress(gen, connection.gate)
            try:
                ended = await channel.drive(answers, next(answers), patience)
            except StopIteration as stop:
                ended = stop.value
            except psycopg.errors._WaitTimeout:
                if last:
                    raise
            if ended or connection.gate.progress != before:
                break


def _until_progress(
    gen: Generator[Any, Any, Any], gate: Gate
) -> Generator[Any, Any, bool]:
    """Go on with an operation; return whether it has ended, else one more answer."""
    before = gate.progress
    try:
        wants = next(gen)
        while gate.progress == before:
            wants = gen.send((yield wants))
    except StopIteration:
        return True
    return False


async def _ask_to_cancel(connection: Connection) -> bool:
    # In a task: whoever is broken off here again closes the connection, and
    # the server would work on for nobody.
    loop = asyncio.get_running_loop()
    return await asyncio.shield(bridge.begin_task(loop, _request_cancel(connection)))


async def _request_cancel(connection: Connection) -> bool:
    try:
        await psycopg.AsyncConnection.cancel_safe(
            connection,  # type: ignore[arg-type]
            timeout=CANCEL_TIMEOUT,
        )
    except Exception as exc:
        logger.warning("query cancellation failed: %s", exc)
        return False
    return True
