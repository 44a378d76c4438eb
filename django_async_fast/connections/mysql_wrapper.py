"""The database wrapper of a block for MySQL and MariaDB."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..drivers import mysql, threaded
from .threaded_wrapper import ThreadedWrapper


class MysqlWrapper(ThreadedWrapper):
    """Mixed into the backend's DatabaseWrapper."""

    def get_new_connection(self, conn_params: Any) -> Any:
        connection = super().get_new_connection(conn_params)
        # Not of the wrapper: a cycle would keep it until the next collection.
        open_one = partial(_open, self.Database, conn_params)
        # mysqlclient tells it to the connection's thread only.
        thread_id = connection.thread_id()
        connection.killer = threaded.Killer(
            partial(mysql.kill_statement, open_one, thread_id), mysql.take_late_kill
        )
        return connection


def _open(database: Any, params: dict[str, Any]) -> Any:
    return database.connect(**params)
