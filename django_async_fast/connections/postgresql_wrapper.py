"""The database wrapper of a block for PostgreSQL: psycopg, awaited, and its pool."""

from functools import partial
from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.backends.signals import connection_created
from django.utils.functional import cached_property

from .. import bridge
from ..drivers.psycopg import connect_hooks, due_statements, open_cursors, server_names
from ..drivers.psycopg.transaction_status import IDLE
from ..pool import loop_pool
from ..tasks.gates import Gate
from . import replayed_connect
from .wrapper import BlockWrapper


class _Driver:
    """psycopg with a `connect()` that the event loop awaits."""

    def __init__(self, gate: Gate, database: Any) -> None:
        # Not the wrapper: a cycle would keep it until the next collection.
        self._gate = gate
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def connect(self, **params: Any) -> Any:
        return connect_hooks.connect_by(self._database, self._gate, params)


class PostgresqlWrapper(BlockWrapper):
    """Mixed into the backend's DatabaseWrapper."""

    djangos = DatabaseWrapper
    # How it was connected, while nobody but this package has seen it, nor its psycopg
    # connection: then another block may go on with both.
    reusable: replayed_connect.ReplayedConnect | None = None

    @cached_property  # type: ignore[untyped-decorator]
    def Database(self) -> Any:  # noqa: N802
        """psycopg, with a `connect()` that the event loop awaits."""
        return _Driver(self.gate, super().Database)

    # Not a property, as Django's is: each checkout asks for it eight times.
    @cached_property  # type: ignore[untyped-decorator]
    def pool(self) -> Any:
        """The pool of this alias on this loop, or None without OPTIONS["pool"]."""
        if not self.settings_dict["OPTIONS"].get("pool"):
            return None
        return loop_pool.handle(self)

    def close_pool(self) -> None:
        """Close the alias's pool on this loop; blocks in progress keep theirs."""
        if self.pool is not None:
            self.pool.close()
            del self.pool

    def _set_autocommit(self, autocommit: bool) -> None:
        # Each block's connection is asked for what it has.
        if not self.connection.has_autocommit(autocommit):
            super()._set_autocommit(autocommit)

    def chunked_cursor(self) -> Any:
        if bridge.can_wait():
            # Django asks at once whether a transaction is open: not another task's.
            self.gate.acquire()
            self.gate.release()
        return super().chunked_cursor()

    def create_cursor(self, name: str | None = None) -> Any:
        if name is not None and name.startswith(server_names.DJANGOS):
            # Django's is one of this wrapper and thread; each block has a wrapper.
            name = server_names.cursor()
        cursor = super().create_cursor(name)
        if name is None:
            due_statements.begin_by(cursor)
            return cursor
        return open_cursors.close_if_broken_off(cursor)

    def connect(self) -> None:
        if replayed_connect.is_plain(self):
            self._before = vars(self).copy()
        try:
            super().connect()
        finally:
            self.__dict__.pop("_before", None)

    def init_connection_state(self) -> None:
        super().init_connection_state()
        # Receivers of the signal that follows may leave in the wrapper what is
        # theirs, and look for it when it is sent for the next one.
        if (before := self.__dict__.pop("_before", None)) is not None:
            self.replayed_connects[self.alias] = replayed_connect.ReplayedConnect(
                self, before
            )

    def _close(self) -> None:
        connection = self.connection
        self.was_connected = self.was_connected or connection is not None
        if connection is None or self.pool is None:
            super()._close()
            return
        try:
            if not connection.closed:
                with self.wrap_database_errors:
                    self._settle()
            super()._close()
        except BaseException:
            if connection.returned:
                self.connection = None  # the pool's, even if the wait was broken off
            else:
                self._discard()
            raise

    def _settle(self) -> None:
        """End what streams have left, on the wire or open, before the pool gets it."""
        if self.connection.cursors:
            open_cursors.close_open_cursors(self.connection)
        with self.connection.lock:
            if self.connection.listening is not None:
                self.connection.listening.end()

    def in_transaction(self) -> bool:
        """Tell whether the server has a transaction open on the connection."""
        pgconn = getattr(self.connection, "pgconn", None)
        return pgconn is None or pgconn.transaction_status != IDLE

    def _drop(self, connection: Any) -> None:
        connection.close()
        if (pool := getattr(connection, "_pool", None)) is not None:
            pool.give_soon(connection)

    def _end_copy(self) -> None:
        self.connection.end_copy()

    # ----- from one block to the next

    def finish_at_once(self) -> bool:
        """End the block if nothing is open, and the pool takes the connection at once.

        Most blocks end so. False where it is left to `finish()`, which does the
        same on the bridge, by Django's `close()`, at ten times the cost.
        """
        raw = self.connection
        pool = getattr(raw, "_pool", None)
        if pool is None or raw.unsettled or raw.cursors or not self._is_at_rest():
            return False
        if not pool.put_at_once(raw):
            return False
        self._finished()
        return True

    def reveal(self) -> None:
        """Be the block's own from here on: somebody is about to use it."""
        self.__dict__.pop("reusable", None)
        self._forget_helpers()

    def send_connection_created(self) -> None:
        """Send Django's signal for a connection that it was given."""
        # Until they are done, it is not open to other tasks.
        connection, self.connection = self.connection, None
        self._connect_with_djangos_errors(
            partial(self._send_connection_created, connection)
        )

    def _send_connection_created(self, connection: Any) -> None:
        self.connection = connection
        connection_created.send(sender=type(self), connection=self)
