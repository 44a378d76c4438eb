"""The database wrapper of a block: the configured backend's own, awaited.

`connections/lazy_wrapper.py` makes a class of each backend's, so every subclass of
Django's backends works and no ENGINE has to change.
"""

from _thread import get_ident
from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.exceptions import SynchronousOnlyOperation
from django.db import InterfaceError, NotSupportedError
from django.db.backends.base.base import BaseDatabaseWrapper

from .. import bridge
from ..bridge import users_code
from ..unpatched import unpatched_class
from . import open_transactions, replayed_connect
from .block_protocol import Block
from .cursor import AsyncCursor
from .notifications import Notifications
from .transaction_statements import TransactionStatements

_ENSURING = ("ensure_connection",)
CLOSING = "close", "_close"


class BlockWrapper(TransactionStatements):
    """A block's connection: mixed into the backend's `DatabaseWrapper`, and awaited."""

    # False in the lazy ones: see connections/lazy_wrapper.py.
    built = True
    # Django's own class among the backend's bases, and how wrappers of the backend are
    # connected to each alias.
    djangos: Any
    replayed_connects: dict[str, replayed_connect.ReplayedConnect]
    # Given by `Block.wrapper()`; a wrapper without a block configures a pool.
    block: Block | None = None
    # Where autocommit has been switched off.
    autocommit_place: users_code.Place = None

    # ----- the asynchronous face

    def acursor(self) -> AsyncCursor:
        """Return a cursor for `async with`; the connection opens when needed."""
        self._check_block()
        return AsyncCursor(self)

    def anotifies(
        self, *channels: str, timeout: float | None = None, reconnect: bool = False
    ) -> Notifications:
        """Return the notifications of `channels`, for `async for`, as psycopg.Notify.

        They end after `timeout` seconds. With `reconnect` a lost connection is opened
        again; what is sent meanwhile is lost. Raises TransactionManagementError in a
        transaction, where PostgreSQL sends none.
        """
        self._check_block()
        if self.vendor != "postgresql":
            raise NotSupportedError(f"{self.display_name} has no LISTEN and NOTIFY.")
        if not channels:
            raise TypeError("anotifies() needs the name of a channel")
        return Notifications(self, channels, timeout, reconnect)

    async def aensure_connection(self) -> None:
        """Open the connection now, as `ensure_connection()` does."""
        await bridge.run(self.ensure_connection)

    async def acommit(self) -> None:
        """Commit the transaction (with autocommit off)."""
        await bridge.run(self.commit)

    async def arollback(self) -> None:
        """Roll back the transaction (with autocommit off)."""
        await bridge.run(self.rollback)

    async def aclose(self) -> None:
        """Close the connection, or give it back to its pool."""
        await bridge.run(self.close)

    # ----- what Django's wrapper does when it waits

    def set_autocommit(
        self,
        autocommit: bool,
        force_begin_transaction_with_broken_autocommit: bool = False,
    ) -> None:
        super().set_autocommit(
            autocommit, force_begin_transaction_with_broken_autocommit
        )
        # Only atomic blocks force: their place is their scope's.
        if not force_begin_transaction_with_broken_autocommit:
            self.autocommit_place = None if autocommit else users_code.place()

    def ensure_connection(self) -> None:
        if self.connection is not None:
            if not self.connection.closed:
                # Fine on the loop too, where Django's would refuse.
                own = unpatched_class(self.backend, BaseDatabaseWrapper, _ENSURING)
                if not own.holds() and bridge.in_bridge():
                    super().ensure_connection()
                return
            # In autocommit nothing is lost with a connection, and whoever it was
            # lost with has been told: the next statement gets another one.
            if not self.autocommit or self.in_atomic_block:
                return
            self._discard()
        self._check_block()
        self._check_bridge()
        if self._aborted and self.in_atomic_block:
            # Django keeps what was lost until the atomic block ends, and is told this.
            with self.wrap_database_errors:
                raise self.Database.OperationalError("the connection is closed")
        replay = self.replayed_connects.get(self.alias)
        if replay is None or not replay.can_connect(self):
            super().ensure_connection()
        else:
            self._connect_with_djangos_errors(partial(replay.connect, self))

    def get_autocommit(self) -> bool:
        if self.connection is None and not bridge.in_bridge():
            self._check_block()
            # What it will have, when it is opened.
            return bool(self.settings_dict["AUTOCOMMIT"])
        return bool(super().get_autocommit())

    def close_if_unusable_or_obsolete(self) -> None:
        # A request does not close the connection of the test that it is made in.
        shared = self.block is not None and self.block.shared
        if bridge.in_bridge() and not shared:
            super().close_if_unusable_or_obsolete()
        elif self.connection_lost() and not self.in_atomic_block:
            # All that needs no waiting; others end with the block.
            self._discard()

    def connect(self) -> None:
        self._connect(super().connect)

    def _connect_with_djangos_errors(self, connect: Callable[[], None]) -> None:
        """Do as Django's `ensure_connection()` with its `connect()`."""
        try:
            self._connect(connect)
        except Exception:
            with self.wrap_database_errors:
                raise

    def _connect(self, connect: Callable[[], None]) -> None:
        # A scope, because the session is not ready before its time zone and
        # role are set: no other task's statement may come in between.
        connecting = self.gate.enter(self, self.gate.root.place)
        try:
            if self.connection is not None:
                return  # another task was first
            self._aborted = False
            if self._dropped:
                self._dropped = False
                # For a backend that keeps in mind what it has set in the session.
                self.close()
            connect()
            self._check_block()  # the block may have ended meanwhile
        except BaseException:
            self._discard()
            raise
        finally:
            self.gate.end_brief(connecting)
        if self.block is not None and self.block.force_rollback:
            open_transactions.begin_rollback(self)

    # ----- the end of the block

    def finish_at_once(self) -> bool:
        """End the block if that has nothing to wait for; return whether it has ended.

        Most blocks end so. Else it is left to `finish()`, which does the same on the
        bridge, by Django's `close()`, at ten times the cost.
        """
        return False

    def _finished(self) -> None:
        self.connection = None
        self.run_on_commit = []
        self.gate.end()
        # They hold the wrapper in turn: to collect it costs as much as a block.
        self._forget_helpers()

    def _is_at_rest(self) -> bool:
        """Tell whether `close()` would be Django's, and nothing is to be undone."""
        return (
            self.autocommit
            and not self.in_atomic_block
            and self.rollback_atomic is None
            and self.gate.is_quiet()
            and self._thread_ident == get_ident()
            and unpatched_class(type(self), self.djangos, CLOSING).holds()
            and self.__dict__.keys().isdisjoint(CLOSING)
        )

    def finish(self) -> None:
        """End of the block: roll back what is open, give the connection back."""
        try:
            if self.connection is not None:
                self._end_copy()
                _, left = self.gate.break_off(None)
                # The last is the block's own.
                open_transactions.end(self, left[:-1])
                self.close()
        finally:
            self._discard()
            self.gate.close()

    def _end_copy(self) -> None:
        """Break off a COPY that is going on."""

    def abandon(self) -> None:
        """End of the block where nothing can be awaited."""
        self._discard()
        self.gate.close()

    def closed_cursor_error(self) -> Exception:
        return InterfaceError(
            "The cursor is closed. Open another one: `async with conn.acursor():`."
        )

    def _check_bridge(self) -> None:
        if not bridge.in_bridge():
            raise SynchronousOnlyOperation(
                f"The block's connection to '{self.alias}' is not open yet, and to "
                "open it has to be awaited: `await conn.aensure_connection()`."
            )

    def _check_block(self) -> None:
        if self.block is not None and not self.block.open:
            raise InterfaceError(
                f"The `async with new_connection()` block that this connection to "
                f"'{self.alias}' belongs to has ended. Open another block, and use "
                "its connection inside it."
            )
