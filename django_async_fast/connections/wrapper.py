"""The database wrapper of a block: the configured backend's own, awaited.

`connections/lazy_wrapper.py` makes a class of each backend's, so every subclass of
Django's PostgreSQL backend works and no ENGINE has to change.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from django.core.exceptions import SynchronousOnlyOperation
from django.db import InterfaceError, NotSupportedError, ProgrammingError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.transaction import Atomic, TransactionManagementError
from django.utils.functional import cached_property

from .. import bridge
from ..attribute_copies import AttributeCopies
from ..bridge import users_code
from ..drivers.psycopg import (
    connect_hooks,
    due_statements,
    open_cursors,
    server_names,
    statement,
)
from ..pool import loop_pool
from ..tasks import scopes
from ..unpatched import Unpatched
from . import open_transactions, replayed_connect
from .block_protocol import Block
from .cursor import AsyncCursor
from .notifications import Notifications


@cache
def _unpatched(kind: Any, *names: str) -> Unpatched:
    """Tell whether a backend's methods are what Django has written."""
    return Unpatched((kind, BaseDatabaseWrapper, names))


_CLOSING = "close", "_close"
_OF_SAVEPOINTS = "_savepoint", "_savepoint_rollback", "_savepoint_commit"


@cache
def _closes(kind: Any) -> Unpatched:
    """Tell whether Django's own methods give a wrapper's connection to its pool."""
    return Unpatched((kind, kind.djangos, _CLOSING))


# libpq's PQTRANS_IDLE: connected, and in no transaction.
IDLE = 0


class _Driver:
    """psycopg with a `connect()` that the event loop awaits."""

    def __init__(self, gate: scopes.Gate, database: Any) -> None:
        # Not the wrapper: a cycle would keep it until the next collection.
        self._gate = gate
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def connect(self, **params: Any) -> Any:
        return connect_hooks.connect_by(self._database, self._gate, params)


def _helper(name: str) -> Any:
    """Return the property that makes `wrapper.ops` and its like when asked for."""

    def make(wrapper: Any) -> Any:
        return getattr(wrapper, f"{name}_class")(wrapper)

    helper = cached_property(make)
    helper.__doc__ = f"Django's `{name}` of this connection."
    return helper


# What a wrapper is made to have when it is asked for it, and another block's may differ
# in, or that knows the wrapper.
_HELPERS = frozenset(
    {
        *("client", "creation", "features", "introspection", "ops", "validation"),
        *("Database", "wrap_database_errors"),
    }
)
_ASKED_FOR = _HELPERS | {"timezone", "timezone_name"}


def _is_helper(wrapper: Any, name: str) -> bool:
    return type(vars(wrapper)[name]) is getattr(wrapper, f"{name}_class", None)


# What the mixin is mixed with, to type checkers that know Django's.
if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper as _Backend
else:
    _Backend = object


class BlockWrapper(_Backend):
    """A block's connection: mixed into the backend's `DatabaseWrapper`, and awaited."""

    # False in the lazy ones: see connections/lazy_wrapper.py.
    built = True
    # What Django's `__init__` sets; the class of each backend has one.
    init_attributes: AttributeCopies
    # The backend's class, Django's own among its bases, and how wrappers of it are
    # connected to each alias.
    backend: Any
    djangos: Any = DatabaseWrapper
    replayed_connects: dict[str, replayed_connect.ReplayedConnect]
    # How it was connected, while nobody but this package has seen it, nor its psycopg
    # connection: then another block may go on with both.
    reusable: replayed_connect.ReplayedConnect | None = None
    # Given by `Block.wrapper()`; a wrapper without a block configures a pool.
    block: Block | None = None
    # Django's.
    connection: Any
    needs_rollback: bool
    queries_limit: int
    atomic_blocks: list[Any]
    savepoint_ids: list[Any]
    run_on_commit: list[Any]

    _rollback_atomic: Any = None
    _aborted = False
    # Whether what the lost connection had done was to be rolled back anyway.
    _was_to_roll_back = False
    # Whether the last connection went without `close()`.
    _dropped = False
    # Whether it has had one that is gone.
    was_connected = False
    # Where autocommit has been switched off.
    autocommit_place: users_code.Place = None

    def __init__(self, settings_dict: dict[str, Any], alias: str) -> None:
        fresh = self.init_attributes.copy()
        if (
            fresh is None
            or not _unpatched(self.backend, "__init__").holds()
            or fresh["queries_log"].maxlen != self.queries_limit
        ):
            super().__init__(settings_dict, alias)
            self._record_init_attributes()
        else:
            fresh["settings_dict"] = settings_dict
            fresh["alias"] = alias
            fresh["_thread_ident"] = get_ident()
            self.__dict__ = fresh
        self.gate = scopes.Gate(alias, None)

    def _record_init_attributes(self) -> None:
        """Record what Django has just set, for the next ones."""
        if self.init_attributes.recorded:
            return
        values = vars(self)
        self.init_attributes.record(
            {name: values[name] for name in values if not _is_helper(self, name)}
        )

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

    # ----- what Django's wrapper asks for

    # Django makes the helpers at once. One is called at most in most blocks.
    client = _helper("client")
    creation = _helper("creation")
    features = _helper("features")
    introspection = _helper("introspection")
    ops = _helper("ops")
    validation = _helper("validation")

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

    def _set_autocommit(self, autocommit: bool) -> None:
        # Each block's connection is asked for what it has.
        if not self.connection.has_autocommit(autocommit):
            super()._set_autocommit(autocommit)

    def ensure_connection(self) -> None:
        if self.connection is not None:
            if not self.connection.closed:
                # Fine on the loop too, where Django's would refuse.
                unpatched = _unpatched(self.backend, "ensure_connection")
                if not unpatched.holds() and bridge.in_bridge():
                    super().ensure_connection()
                return
            # In autocommit nothing is lost with a connection, and whoever it was
            # lost with has been told: the next statement gets another one.
            if not self.autocommit or self.in_atomic_block:
                return
            self._discard()
        self._check_block()
        self._check_bridge()
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
            self._connect(super().connect)
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
            self._begin_rollback()

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

    # ----- life in a block

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

    def _finished(self) -> None:
        self.connection = None
        self.run_on_commit = []
        self.gate.end()
        # They hold the wrapper in turn: to collect it costs as much as a block.
        self._forget_helpers()

    def serve(self, block: Block, gate: scopes.Gate | None) -> None:
        """Serve `block`, to which its connection has been given."""
        values = self.__dict__
        values["block"], values["_thread_ident"] = block, block.thread
        if gate is None:
            gate = values["gate"]
            gate.reopen(block.place, block.units)
        values["gate"] = values["pool"].gate = gate
        values["connection"].attach(gate)

    def keep_in_pool(self) -> bool:
        """End a block in which it was hidden: stay in the pool, with the connection.

        False, with nothing done, where it cannot be used again.
        """
        raw = self.connection
        if (
            self.reusable is None
            or not self.__dict__.keys().isdisjoint(_HELPERS)
            or raw.unsettled
            or raw.cursors
            or not self._is_at_rest()
        ):
            return False
        raw.session.spare_wrapper = self
        if not self.pool.put_at_once(raw):
            raw.session.spare_wrapper = None
            return False
        self.gate.end()
        self.block = None
        return True

    def reveal(self) -> None:
        """Be the block's own from here on: somebody is about to use it."""
        self.__dict__.pop("reusable", None)
        self._forget_helpers()

    def _forget_helpers(self) -> None:
        for name in self.__dict__.keys() & _ASKED_FOR:
            del self.__dict__[name]

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

    def _is_at_rest(self) -> bool:
        """Tell whether `close()` would be Django's, and nothing is to be undone."""
        kind: Any = type(self)
        return (
            self.autocommit
            and not self.in_atomic_block
            and self._rollback_atomic is None
            and self.gate.is_quiet()
            and self._thread_ident == get_ident()
            and _closes(kind).holds()
            and self.__dict__.keys().isdisjoint(_CLOSING)
        )

    def finish(self) -> None:
        """End of the block: roll back what is open, give the connection back."""
        try:
            if self.connection is not None:
                self._end_copy()
                _, left = self.gate.break_off(None)
                self._end_transaction(left[:-1])  # the last is the block's own
                self.close()
        finally:
            self._discard()
            self.gate.close()

    def _end_copy(self) -> None:
        self.connection.end_copy()

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

    # ----- endings

    def _commit(self) -> None:
        self._drop_due_savepoints()
        with self._unbroken():
            super()._commit()

    def _rollback(self) -> None:
        self._drop_due_savepoints()
        with self._unbroken():
            super()._rollback()

    def _drop_due_savepoints(self) -> None:
        if (due := getattr(self.connection, "due", None)) is not None:
            due.drop()

    def _savepoint(self, sid: str) -> None:
        due = self._due_savepoints()
        if due is None:
            super()._savepoint(sid)
        else:
            due.add(self.connection, sid, self.ops.savepoint_create_sql(sid))

    def _savepoint_rollback(self, sid: str) -> None:
        due = self._due_savepoints()
        if due is not None and due.drop_inside(sid):
            return
        with self._unbroken():
            super()._savepoint_rollback(sid)

    def _savepoint_commit(self, sid: str) -> None:
        due = self._due_savepoints()
        if due is not None and due.drop(sid):
            return
        with self._unbroken():
            super()._savepoint_commit(sid)

    def _due_savepoints(self) -> due_statements.DueSavepoints | None:
        """Return those of the connection, None where somebody might see them sent."""
        raw = self.connection
        if (
            self.needs_rollback
            or raw is None
            or raw.closed
            or not _unpatched(self.backend, *_OF_SAVEPOINTS).holds()
        ):
            return None
        return statement.due_savepoints(self)

    @contextmanager
    def _unbroken(self) -> Iterator[None]:
        """Give up the connection when a statement that ends work is broken off.

        Nobody knows then whether the server has done it. The same when the
        connection is lost: Django would connect again, and raise the error of
        that in place of the one on its way.
        """
        try:
            yield
        except BaseException as exc:
            if not isinstance(exc, Exception) or self.connection_lost():
                self.abort()
            raise

    def abort(self, keep: int | None = None) -> None:
        """Drop the connection: the server rolls back.

        Open atomic blocks then end without a statement, as Django has it after
        `connection.close()` in one. With `keep`, only the outermost `keep` of
        them are still to be ended.
        """
        self._discard()
        if not self._aborted:
            self._was_to_roll_back = self.needs_rollback
        self._aborted = True
        self.run_on_commit = []
        self.closed_in_transaction = self.needs_rollback = True
        if keep is None:
            return
        if self._rollback_atomic is not None:
            keep += 1
        self.atomic_blocks = self.atomic_blocks[:keep]
        around = max(keep - 1, 0)
        if any(self.savepoint_ids[around:]):
            # A savepoint would have been the end of that.
            self._was_to_roll_back = False
        self.savepoint_ids = self.savepoint_ids[:around]
        if not keep:
            self.in_atomic_block = self.closed_in_transaction = False

    def broken_off(self) -> Exception | None:
        """Return the error to raise instead of a commit that would be none.

        None where Django would roll back as well: it was asked to before.
        """
        raw = self.connection
        if raw is None:
            if not self._aborted or self._was_to_roll_back:
                return None
        elif not raw.transaction_broken:
            return None
        return TransactionManagementError(
            f"The transaction on '{self.alias}' has been rolled back: a statement in "
            "it was broken off, by a cancellation or with the connection. Let the "
            "cancellation leave the atomic block, or put one around the statement."
        )

    def is_connected(self) -> bool:
        """Tell whether it has a connection, as far as that is known."""
        return self.connection is not None and not self.connection.closed

    def connection_lost(self) -> bool:
        """Tell whether the socket has been closed under Django's feet."""
        return self.connection is not None and self.connection.closed

    def in_transaction(self) -> bool:
        """Tell whether the server has a transaction open on the connection."""
        pgconn = getattr(self.connection, "pgconn", None)
        return pgconn is None or pgconn.transaction_status != IDLE

    def _discard(self) -> None:
        """Drop the connection. Awaits nothing, so that it cannot be broken off."""
        connection, self.connection = self.connection, None
        if connection is None:
            return
        self._dropped = self.was_connected = True
        connection.close()
        if (pool := getattr(connection, "_pool", None)) is not None:
            pool.give_soon(connection)

    def _settle(self) -> None:
        """End what streams have left, on the wire or open, before the pool gets it."""
        if self.connection.cursors:
            open_cursors.close_open_cursors(self.connection)
        with self.connection.lock:
            if self.connection.listening is not None:
                self.connection.listening.end()

    def begin_undo(self) -> Any:
        """Enter an atomic block that `undo()` will roll back; return it."""
        atomic = Atomic(self.alias, True, False)
        atomic._from_testcase = True
        atomic.__enter__()
        return atomic

    def undo(self, atomic: Any) -> None:
        """Roll back what has been done since `begin_undo()`."""
        self.needs_rollback = True
        atomic.__exit__(None, None, None)

    def _begin_rollback(self) -> None:
        self._rollback_atomic = Atomic(self.alias, True, False)
        # As in Django's TestCase: durable blocks may be nested in this one.
        self._rollback_atomic._from_testcase = True
        open_transactions.atomic_blocks.enter(self._rollback_atomic)

    def _end_rollback(self) -> None:
        atomic, self._rollback_atomic = self._rollback_atomic, None
        if self.in_atomic_block:
            self.needs_rollback = True
            open_transactions.atomic_blocks.leave(atomic, None, None, None)

    def _end_transaction(self, left: list[scopes.Scope]) -> None:
        assert self.block is not None
        if left:
            open_transactions.atomic_blocks.roll_back(self, left, self.block.who)
        if self._rollback_atomic is not None:
            self._end_rollback()
        if not self.autocommit:
            self.restore_autocommit(self.block.who)

    def restore_autocommit(self, who: str) -> None:
        """Roll back what `who` has begun with autocommit off, and not ended."""
        if self.connection is None or self.connection.closed:
            return
        usual = self.settings_dict["AUTOCOMMIT"]
        if usual and self.in_transaction():
            open_transactions.warn_left_open(self.alias, self.autocommit_place, who)
        # An atomic block that failed to begin leaves it on.
        self.in_atomic_block = False
        try:
            self.rollback()
        except ProgrammingError:
            # psycopg refuses in a two-phase transaction. What is prepared stays so.
            self._discard()
            return
        self.set_autocommit(usual)
