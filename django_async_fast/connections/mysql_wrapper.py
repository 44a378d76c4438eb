"""The database wrapper of a block for MySQL and MariaDB.

Where asyncmy can stand in for MySQLdb the loop waits for it, else a thread for MySQLdb.
"""

from functools import cache, partial
from importlib.util import find_spec
from typing import Any

from ..drivers import threaded
from ..drivers.mysql import killing
from ..unpatched import UnpatchedFunctions, unpatched_class
from .threaded_wrapper import ThreadedWrapper

_OPENING = ("get_new_connection",)


class MysqlWrapper(ThreadedWrapper):
    """Mixed into the backend's DatabaseWrapper."""

    # Whether a setting has it so.
    in_thread: bool

    def get_new_connection(self, conn_params: Any) -> Any:
        opened = self._open_on_the_loop(conn_params)
        if opened is not None:
            return opened
        connection = super().get_new_connection(conn_params)
        # Not of the wrapper: a cycle would keep it until the next collection.
        open_one = partial(_open, self.Database, conn_params)
        # mysqlclient tells it to the connection's thread only.
        thread_id = connection.thread_id()
        connection.killer = threaded.Killer(
            partial(killing.kill_statement, open_one, thread_id), killing.take_late_kill
        )
        return connection

    def _open_on_the_loop(self, conn_params: Any) -> Any:
        """Return a connection of asyncmy's, None where MySQLdb is to open one."""
        if self.in_thread or not _opens_as_django(type(self)):
            return None
        from ..drivers.mysql import connection, options

        if (chosen := options.options(conn_params)) is None:
            return None
        try:
            return connection.connect(self.gate, chosen)
        except connection.UnfitError:
            return None


def _open(database: Any, params: dict[str, Any]) -> Any:
    return database.connect(**params)


def _opens_as_django(kind: Any) -> bool:
    """Tell whether nobody sees a connection being opened by MySQLdb."""
    return (
        _has_both_drivers(kind.Database)
        and unpatched_class(kind, kind.djangos, _OPENING).holds()
        and _connect(kind.Database).holds()
    )


@cache
def _has_both_drivers(database: Any) -> bool:
    # Another package may stand in for MySQLdb: PyMySQL does.
    return database.__name__ == "MySQLdb" and find_spec("asyncmy") is not None


@cache
def _connect(database: Any) -> UnpatchedFunctions:
    return UnpatchedFunctions((database, "connect"))
