"""The transaction around a stream that was begun in autocommit mode.

There a cursor is declared WITH HOLD, as Django does, and the server would run
the whole query and store its rows before the first is sent. It does so when
the transaction ends; so the transaction is left open while the stream is read,
and rows come as the server finds them. It ends when the last of them has come,
before any other statement on the connection, when its reader takes its time,
and after a second in any case: nobody finds the session idle in a transaction,
or the statement's locks held. Only a reader that gives the loop no turn can keep
it longer, by as much as one step of it takes.
"""

import logging
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Generator
from contextvars import Context
from typing import Any

from psycopg import errors, generators, pq

from ... import bridge
from .cancellation import UnwantedTransaction
from .transaction_status import INERROR

logger = logging.getLogger("django_async_fast")

FATAL_ERROR = pq.ExecStatus.FATAL_ERROR

# Seconds that a reader may spend on one chunk before the rest is stored, and on all.
PATIENCE = 0.1
LONGEST = 1.0


class HeldTransaction:
    """One open transaction; whoever uses the connection next ends it (`settle`)."""

    def __init__(self, connection: Any) -> None:
        loop = bridge.current_loop()
        assert loop is not None
        self._loop: AbstractEventLoop = loop
        self._timer: TimerHandle | None = None
        self.connection = connection
        # Why the rest of the rows could not be stored: the stream's to raise.
        self.failure: errors.Error | None = None
        self._ending = _commit(connection.pgconn, b"")
        self._committing = False
        # Until the cursor is declared, statements of this call do not end it.
        self._opener = bridge.current_call()
        with connection.lock:
            connection.wait(connection._exec_command(b"BEGIN"))
            connection.unsettled.append(self)
        self._until = loop.time() + LONGEST

    @property
    def open(self) -> bool:
        """Whether statements can still be sent in the transaction."""
        return self in self.connection.unsettled and not self._committing

    def declared(self) -> None:
        """The cursor is there, or has failed: whoever comes next ends it."""
        self._opener = None
        self.reader_has_a_chunk()  # or nobody does, if it has failed

    def close(self, cursor: bytes) -> None:
        """Close a cursor, and commit. Needs the gate."""
        self._ending = _commit(self.connection.pgconn, b"CLOSE %s;" % cursor)
        self.settle()

    def settle(self) -> None:
        """Commit. Needs the gate."""
        if self._opener is not None and self._opener is bridge.current_call():
            return
        self.reader_is_back()
        self._committing = True
        try:
            # Another task, for which this is done, may be broken off here; the
            # commit goes on, and is waited for by whoever comes next.
            self.connection.wait(self._ending, resumable=True)
        except errors.Error as exc:
            self.failure = exc
        if self in self.connection.unsettled:
            self.connection.unsettled.remove(self)
        if self.connection.pgconn.transaction_status == INERROR:
            failed = UnwantedTransaction(self.connection)
            self.connection.unsettled.append(failed)
            failed.settle()

    def reader_has_a_chunk(self) -> None:
        """Begin to wait for the reader of the stream."""
        self.reader_is_back()
        until = min(self._loop.time() + PATIENCE, self._until)
        self._timer = self._loop.call_at(until, self._release, context=Context())

    def reader_is_back(self) -> None:
        """Stop waiting."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def is_over(self) -> bool:
        """Tell whether it has been open for as long as it may."""
        return self._loop.time() >= self._until

    def reader_has_gone(self) -> None:
        """Have it end soon, on the loop: the reader may have gone anywhere."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end_soon, context=Context())

    def _release(self) -> None:
        if self.open:
            self._end_soon()

    def _end_soon(self) -> None:
        self.reader_is_back()
        bridge.begin_task(self._loop, bridge.run(self._settle_all))

    def _settle_all(self) -> None:
        try:
            with self.connection.lock:
                pass
        except Exception as exc:
            # The block has ended, or the connection is gone: so has the transaction.
            logger.debug("a stream's transaction ended otherwise: %s", exc)


def _commit(pgconn: Any, first: bytes) -> Generator[Any, Any, None]:
    """Commit after the statement `first`, in one round trip."""
    pgconn.send_query(first + b"COMMIT")
    for result in (yield from generators.execute(pgconn)):
        if result.status == FATAL_ERROR:
            raise errors.error_from_result(result)
