"""The database wrapper of a block for databases other than PostgreSQL.

Django's backend works as it does outside of the block; how its driver waits is for the
subclasses to say.
"""

from __future__ import annotations

from typing import Any

from .wrapper import BlockWrapper


class OtherWrapper(BlockWrapper):
    """Mixed into the backend's DatabaseWrapper."""

    # The members of BlockWrapper's that are made for psycopg: the backend has its own.
    NOT_OURS = ("Database", "close_pool", "get_connection_params", "pool")

    _finishing = False

    def _set_autocommit(self, autocommit: bool) -> None:
        super(BlockWrapper, self)._set_autocommit(autocommit)

    def set_autocommit(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().set_autocommit(*args, **kwargs)
        except BaseException as exc:
            if not isinstance(exc, Exception):
                self._discard()  # nobody knows which mode the driver is in
            raise

    def close(self) -> None:
        super().close()
        if self._finishing:
            # Django does not close a SQLite database that is in memory.
            self._close()

    def _close(self) -> None:
        if self.connection is not None:
            self.was_connected = True
            with self.wrap_database_errors:
                self.connection.close()

    def finish_at_once(self) -> bool:
        return False

    def finish(self) -> None:
        self._finishing = True
        super().finish()

    def _due_savepoints(self) -> None:
        """Return None: each goes when it is due."""

    def _end_copy(self) -> None:
        """Do nothing: only PostgreSQL has COPY."""

    def _discard(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            self._dropped = self.was_connected = True
            connection.drop()
