"""The database wrapper of a block for databases other than PostgreSQL.

Django's backend works as it does outside of the block; how its driver waits is for the
subclasses to say.
"""

from typing import Any

from .wrapper import BlockWrapper


class OtherWrapper(BlockWrapper):
    """Mixed into the backend's DatabaseWrapper."""

    _finishing = False

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

    def finish(self) -> None:
        self._finishing = True
        super().finish()

    def _due_savepoints(self) -> None:
        """Return None: each goes when it is due."""
