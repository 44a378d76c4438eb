"""COMMIT, ROLLBACK and savepoints of a wrapper, and what is left of a broken one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError

from ..drivers.psycopg import due_statements, statement
from ..unpatched import unpatched_class
from .wrapper_attributes import WrapperAttributes

_OF_SAVEPOINTS = "_savepoint", "_savepoint_rollback", "_savepoint_commit"


class TransactionStatements(WrapperAttributes):
    """Part of a block's wrapper: what ends transactions, or gives them up."""

    # Whether the server has rolled back what atomic blocks have yet to end.
    _aborted = False
    # Whether what the lost connection had done was to be rolled back anyway.
    _was_to_roll_back = False
    # Whether the last connection went without `close()`.
    _dropped = False
    # Whether it has had one that is gone.
    was_connected = False
    # The atomic block of `force_rollback`.
    rollback_atomic: Any = None

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
        if due is None or not due.drop_inside(sid):
            with self._unbroken():
                super()._savepoint_rollback(sid)

    def _savepoint_commit(self, sid: str) -> None:
        due = self._due_savepoints()
        if due is None or not due.drop(sid):
            with self._unbroken():
                super()._savepoint_commit(sid)

    def _due_savepoints(self) -> due_statements.DueSavepoints | None:
        """Return those of the connection, None where somebody might see them sent."""
        raw = self.connection
        if self.needs_rollback or raw is None or raw.closed:
            return None
        own = unpatched_class(self.backend, BaseDatabaseWrapper, _OF_SAVEPOINTS)
        if not own.holds():
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
        if self.rollback_atomic is not None:
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
        raise NotImplementedError

    def _discard(self) -> None:
        """Drop the connection. Awaits nothing, so that it cannot be broken off."""
        connection, self.connection = self.connection, None
        if connection is not None:
            self._dropped = self.was_connected = True
            self._drop(connection)

    def _drop(self, connection: Any) -> None:
        connection.drop()
