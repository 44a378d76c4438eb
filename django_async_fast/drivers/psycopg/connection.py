"""A psycopg connection for synchronous code whose waits the event loop awaits.

psycopg keeps protocol and waiting apart: a sync `Connection` differs from an
`AsyncConnection` in who waits. Ours is a sync one over the libpq connection of
an async one, so that connecting, pooling and cancelling stay psycopg's own.
"""

import weakref
from collections.abc import Generator
from functools import cache
from typing import Any

import psycopg
from django.db.backends.utils import CursorWrapper
from psycopg.waiting import Wait

from ... import _native, bridge
from ...attribute_copies import AttributeCopies
from ...tasks.gates import TURNS, Gate
from ...unpatched import Unpatched
from .. import forks
from ..usable import OF_PARENT
from .cancellation import UnwantedTransaction, cancel_statement
from .channel import BAD, Channel
from .session import Session
from .statement_lock import StatementLocks
from .transaction_status import IDLE, IN_TRANSACTION, INERROR

_init = Unpatched((psycopg.Connection, psycopg.Connection, ("__init__",)))
# What `Cursor.stream()` begins with.
_STREAMS = psycopg.Cursor._stream_send_gen.__code__


class Connection(psycopg.Connection[Any]):
    """A view of a session, for code that runs on the bridge.

    It serves one block: a cursor that is left over from a block cannot reach
    the connection of the next one.
    """

    # Tools call a driver by the module of its connections: Datadog its spans.
    __module__ = psycopg.Connection.__module__
    # What psycopg's `__init__` sets.
    init_attributes = AttributeCopies("pgconn", "_prepared")
    # Whether this class has what never changes in place.
    shared = False
    lock: Any = StatementLocks()
    # The COPY whose rows somebody reads, one call after the other.
    open_copy: Any = None
    # SAVEPOINTs that go with the next statement, see due_statements.py.
    due: Any = None
    # The channels that it listens to, see listening.py.
    listening: Any = None

    def __init__(self, session: Session, gate: Gate) -> None:
        # Not of a class of the project's, whose own `__init__` is called.
        plain = type(self) is Connection and _init.holds()
        if plain and self.shared:
            self.init_attributes.copy_containers(self)
        else:
            super().__init__(session.pgconn)
            del self.lock
        if plain and not self.shared:
            self.init_attributes.record(vars(self))
            Connection.shared = self.init_attributes.set_on(Connection)
        self.session = session
        self._listen(session.pgconn)
        self.gate = gate
        # What must be settled before the next statement: chunks in flight,
        # cursors left open, transactions held for a stream. The last first.
        self.unsettled: list[Any] = []
        # References to server-side cursors, some of them perhaps closed.
        self.cursors: list[weakref.ref[Any]] = []
        self._broken_off = False
        self.returned = False
        # What belongs to the session: the adapters, as in Django's pool, and
        # the names of server-side prepared statements, with their threshold.
        self._adapters = session.adapters
        self._prepared = session._prepared
        self._autocommit = session._autocommit

    def _listen(self, pgconn: Any) -> None:
        """Receive the notices and notifications of libpq's connection."""
        self.pgconn = pgconn
        self.session.served.view = weakref.ref(self)
        pgconn.notice_handler, pgconn.notify_handler = self.session.handlers

    def wait(
        self,
        gen: Generator[Any, Any, Any],
        interval: float = 0.0,
        timeout: float | None = None,
        resumable: bool = False,
    ) -> Any:
        """Consume a psycopg operation; the bridge awaits what it waits for.

        Broken off, the operation is cancelled on the server. If it is
        `resumable` it goes on there, and must be waited for again before the
        next one.
        """
        if not bridge.in_bridge():
            gen.close()
            raise bridge.BridgeError(
                "This connection belongs to an `async with new_connection()` block: "
                "use it in a coroutine (`await conn.acommit()`, `conn.acursor()`) or "
                "in `await run_sync(function, ...)`."
            )
        if self.session.inherited:
            gen.close()
            raise psycopg.OperationalError(OF_PARENT)
        if resumable and self.freed:
            gen.close()
            raise psycopg.OperationalError("the connection is closed")
        if getattr(gen, "gi_code", None) is _STREAMS:
            self.session.streamed = True
        before = self.pgconn.transaction_status
        try:
            wants = next(gen)
        except StopIteration as stop:
            return stop.value
        except BaseException as exc:
            self.begin_failed(exc)
            raise
        channel = self.session.channel or self._open_channel()
        try:
            return bridge.await_(channel.drive(gen, wants, timeout))
        except BaseException as exc:
            self.wait_failed(gen, channel, exc, before, resumable)
            raise

    def begin_failed(self, exc: BaseException) -> None:
        """See to an operation whose first step has failed."""
        if self.pgconn.status == BAD:
            self.session.leave_loop()
        if isinstance(exc, psycopg.ProgrammingError):
            _ = self.pgconn.socket  # psycopg tells first of a connection that is closed

    def wait_failed(
        self,
        gen: Generator[Any, Any, Any],
        channel: Channel,
        exc: BaseException,
        before: int,
        resumable: bool = False,
    ) -> None:
        """See to an operation that has failed, or was broken off.

        `before` is the status of the transaction in which it began.
        """
        if channel.busy and resumable:
            channel.detach()
        elif channel.busy:
            self._broken_off = True
            cancel_statement(self, gen, channel, exc)
        elif isinstance(exc, KeyboardInterrupt):
            self.drop()  # it came out of the operation, which is dead now
        if before == IDLE and self._autocommit:
            self._disown()

    def set_autocommit(self, value: bool) -> None:
        """Set it as psycopg does; Django asks each block's connection for it."""
        if not self.has_autocommit(value):
            super().set_autocommit(value)

    def has_autocommit(self, value: bool) -> bool:
        """Tell whether to set it would change nothing, and be no error."""
        return value == self._autocommit and self.pgconn.transaction_status == IDLE

    @property
    def transaction_broken(self) -> bool:
        """Whether the transaction has failed, perhaps by a cancelled statement."""
        failed = self.closed or self.pgconn.transaction_status == INERROR
        return self._broken_off and failed

    @property
    def freed(self) -> bool:
        """Whether libpq has freed what operations that have begun would go on with."""
        pgconn: Any = self.pgconn
        return pgconn.pgconn_ptr is None

    def _disown(self) -> None:
        """See to a transaction that the operation broken off has begun."""
        if self.pgconn.transaction_status in IN_TRANSACTION:
            self.unsettled.append(UnwantedTransaction(self))

    def _should_cancel(self) -> bool:
        # Given back, it would cancel another block's statement.
        return not self.returned and super()._should_cancel()

    def cancel_safe(self, *, timeout: float = 30.0) -> None:
        """Cancel the operation in progress on the server."""
        bridge.await_(psycopg.AsyncConnection.cancel_safe(self, timeout=timeout))  # type: ignore[arg-type]

    def settle(self, keep: object = None) -> None:
        """Take in what streams have left on the wire. Needs the gate."""
        if self.returned and not self.closed:
            raise psycopg.InterfaceError(
                "This connection has been given back to its pool. Open a new cursor: "
                "the block's wrapper then takes another."
            )
        for each in reversed(self.unsettled.copy()):
            if each is not keep:
                each.settle()

    def drop(self) -> None:
        """Close the socket at once, without a word to the server.

        After the view has been given back, the socket is another block's.
        """
        self.unsettled.clear()
        if not self.returned:
            self.session.drop()
        if self.listening is not None:
            self.listening.lost()
        self.end_copy()

    def end_copy(self) -> None:
        """End a COPY whose reader takes its time, before the connection goes back."""
        if self.open_copy is not None:
            self.open_copy.give_back()

    def close(self) -> None:
        """Close the connection; needs no bridge and never waits."""
        self._closed = True
        self.drop()

    def detach(self) -> Session:
        """Return the session, for the pool; cursors of this view end with it."""
        self.returned = True
        return self.session

    def _open_channel(self) -> Channel:
        loop = bridge.current_loop()
        assert loop is not None
        self.session.channel = channel = Channel(self.pgconn, loop)
        return channel


def inner_cursor(cursor: Any) -> Any:
    """Return the psycopg cursor inside Django's wrappers, None if it is another's."""
    while isinstance(cursor, CursorWrapper):
        cursor = cursor.cursor
    return cursor if isinstance(cursor, psycopg.Cursor) else None


def belongs_to_block(connection: Any) -> bool:
    """Tell whether a psycopg connection is a block's: it settles what is in flight."""
    return isinstance(connection, Connection)


_OWN = {name: vars(Connection)[name] for name in ("wait", "lock")}


def _waits_as_written() -> bool:
    """Tell whether nobody has replaced how views take their turn and wait."""
    _views.look()
    return all(vars(Connection)[name] is each for name, each in _OWN.items())


_views: Any = _native.COMPILED and _native.rows.ClassWatch(
    Connection, asked=_waits_as_written
)

# What sends statements past a cursor waits so.
ROUND_TRIPS: Any = _native.COMPILED and _native.rows.RoundTrips(
    bridge.BRIDGE,
    TURNS,
    view=Connection,
    watch=_views,
    names=vars(forks),
    reads=int(Wait.R),
)


@cache
def _class_of_views(kind: Any) -> type[Connection]:
    """Return the class of views for connections of a class of the project's."""
    if kind is psycopg.Connection:
        return Connection
    return type(kind.__name__, (Connection, kind), {"__module__": kind.__module__})


def connect(gate: Gate, *, cursor_factory: Any = None, **params: Any) -> Connection:
    """Open a connection with psycopg's own asynchronous `connect()`."""
    session = bridge.await_(Session.connect(**params))
    # Its `__del__` would warn about a connection that the view has to close.
    session._pool = None
    return view(session, gate, cursor_factory)


def view(session: Session, gate: Gate, cursor_factory: Any = None) -> Connection:
    """Return the connection that synchronous code uses over `session`."""
    session.spare_wrapper = None
    kind: Any = session.kind
    connection = _class_of_views(kind)(session, gate)
    if session.cursor_class is not None:
        connection.cursor_factory = session.cursor_class
    elif cursor_factory is not None:
        connection.cursor_factory = cursor_factory
    return connection
