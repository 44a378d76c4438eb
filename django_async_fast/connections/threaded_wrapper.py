"""The database wrapper of a block for databases other than PostgreSQL.

Django's backend works as it does outside of the block; its driver waits in a thread.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ..drivers import threaded
from .wrapper import BlockWrapper


class ThreadedWrapper(BlockWrapper):
    """Mixed into the backend's DatabaseWrapper."""

    # The members of BlockWrapper's that are made for psycopg: the backend has its own.
    NOT_OURS = ("Database", "close_pool", "get_connection_params", "pool")

    _finishing = False

    def get_new_connection(self, conn_params: Any) -> Any:
        open_one = super().get_new_connection
        return threaded.connect(self.gate, partial(open_one, conn_params))

    def set_autocommit(
        self,
        autocommit: bool,
        force_begin_transaction_with_broken_autocommit: bool = False,
    ) -> None:
        self.ensure_connection()
        raw = self.connection
        raw.may_be_in_transaction = True
        try:
            super().set_autocommit(
                autocommit, force_begin_transaction_with_broken_autocommit
            )
        except BaseException as exc:
            if not isinstance(exc, Exception):
                self._discard()  # nobody knows which mode the driver is in
            raise
        finally:
            raw.may_be_in_transaction = not self.autocommit

    def _set_autocommit(self, autocommit: bool) -> None:
        super(BlockWrapper, self)._set_autocommit(autocommit)

    def in_transaction(self) -> bool:
        return self.connection is None or self.connection.may_be_in_transaction

    def close(self) -> None:
        super().close()
        if self._finishing:
            # Django does not close a SQLite database that is in memory.
            self._close()

    def _close(self) -> None:
        if self.connection is not None:
            with self.wrap_database_errors:
                self.connection.close()

    def let_go(self) -> bool:
        return False

    def finish(self) -> None:
        self._finishing = True
        super().finish()

    def _discard(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            self._dropped = True
            connection.drop()
