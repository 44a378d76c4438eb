"""The transaction around a stream that was begun in autocommit mode.

There a cursor is declared WITH HOLD, as Django does, and the server would run
the whole query and store its rows before the first is sent. It does so when
the transaction ends; so the transaction is left open while the stream is read,
and rows come as the server finds them. It ends before any other statement on
the connection, when the stream ends, and when its reader takes its time:
nobody finds the session idle in a transaction, or the statement's locks held.
"""

from __future__ import annotations

import logging
from asyncio import AbstractEventLoop, Task, TimerHandle
from typing import Any

from psycopg import errors

from .. import bridge

logger = logging.getLogger("django_async_fast")

# Seconds that a reader may spend on one chunk before the rest is stored.
PATIENCE = 0.1

_releasing: set[Task[None]] = set()


class Hold:
    """One open transaction; whoever uses the connection next ends it (`settle`)."""

    def __init__(self, connection: Any) -> None:
        loop = bridge.current_loop()
        assert loop is not None
        self._loop: AbstractEventLoop = loop
        self._timer: TimerHandle | None = None
        self.connection = connection
        # Why the rest of the rows could not be stored: the stream's to raise.
        self.failure: errors.Error | None = None
        self._ending = connection._exec_command(b"COMMIT")
        self._committing = False
        # Until the cursor is declared, statements of this call do not end it.
        self._opener = bridge.current()
        with connection.lock:
            connection.wait(connection._exec_command(b"BEGIN"))
            connection.unsettled.append(self)

    @property
    def open(self) -> bool:
        """Whether statements can still be sent in the transaction."""
        return self in self.connection.unsettled and not self._committing

    def declared(self) -> None:
        """The cursor is there, or has failed: whoever comes next ends it."""
        self._opener = None
        self.reader_has_a_chunk()  # or nobody does, if it has failed

    def settle(self) -> None:
        """Commit. Needs the gate."""
        if self._opener is not None and self._opener is bridge.current():
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

    def reader_has_a_chunk(self) -> None:
        """Begin to wait for the reader of the stream."""
        self.reader_is_back()
        self._timer = self._loop.call_later(PATIENCE, self._release)

    def reader_is_back(self) -> None:
        """Stop waiting."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _release(self) -> None:
        if self.open:
            task = self._loop.create_task(bridge.run(self._settle_all))
            _releasing.add(task)
            task.add_done_callback(_releasing.discard)

    def _settle_all(self) -> None:
        try:
            with self.connection.lock:
                pass
        except Exception as exc:
            # The block has ended, or the connection is gone: so has the hold.
            logger.debug("a stream's transaction ended otherwise: %s", exc)
