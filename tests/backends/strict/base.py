"""A stand-in for a third party's backend: its driver is used in another way.

It wants one thread for all of a connection, and gives rows in a tuple.
"""

from typing import Any

from django.db.backends.sqlite3 import base


class Cursor(base.SQLiteCursorWrapper):  # type: ignore[misc]
    def fetchmany(self, *size: int) -> Any:
        return tuple(super().fetchmany(*size))

    def fetchall(self) -> Any:
        return tuple(super().fetchall())


class DatabaseFeatures(base.DatabaseFeatures):  # type: ignore[misc]
    empty_fetchmany_value = ()


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]
    vendor = "strict"
    features_class = DatabaseFeatures

    def get_connection_params(self) -> dict[str, Any]:
        # sqlite3 then refuses every call from another thread.
        return {**super().get_connection_params(), "check_same_thread": True}

    def create_cursor(self, name: str | None = None) -> Any:
        return self.connection.cursor(factory=Cursor)
