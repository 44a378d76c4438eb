"""A dumper of one's own, as users register one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from psycopg.types.string import StrDumper


class Shout(StrDumper):
    def dump(self, obj: str) -> Any:
        return super().dump(obj.upper())


@contextmanager
def shouting() -> Iterator[None]:
    """Have texts dumped in capitals by the connection of `default` until it is closed."""
    connection.ensure_connection()
    connection.connection.adapters.register_dumper(str, Shout)
    try:
        yield
    finally:
        connection.close()
