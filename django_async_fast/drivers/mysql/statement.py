"""A query whose rows are wanted whole, run without Django's cursor around MySQLdb's.

In: a wrapper, SQL and its parameters.
Out: all rows, as tuples.
Next: `native/converters.pxi`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import MySQLdb
from django.db import IntegrityError
from django.db.backends.mysql import base
from MySQLdb import _mysql, cursors
from MySQLdb.connections import Connection as MysqldbConnection
from MySQLdb.converters import Thing2Str

from ..unwatched import Cursors
from .values import COMPILED, OWN

_CURSORS = Cursors(base.DatabaseWrapper, base.CursorWrapper, cursors.Cursor)


def rows(wrapper: Any, sql: str, params: Any) -> list[Any] | None:
    """Return all rows of a query, None where a cursor is to run it.

    Raises Django's errors.
    """
    if not sql.startswith(("SELECT", "(SELECT")):
        return None
    raw = _CURSORS.connection(wrapper)
    kind: Any = type(raw)
    if (fetch := _fetch_by(kind)) is None or "cursor" in vars(raw):
        return None
    if raw.cursorclass is not cursors.Cursor:
        return None
    if wrapper.needs_rollback:
        wrapper.validate_no_broken_transaction()
    try:
        found = fetch(raw, _written_out(raw, sql, params), sql)
        return found if type(found) is list else list(found)
    except MySQLdb.OperationalError as exc:
        with wrapper.wrap_database_errors:
            # As Django's own cursor has it.
            if exc.args[0] in base.CursorWrapper.codes_for_integrityerror:
                raise IntegrityError(*exc.args) from exc
            raise
    except Exception:
        # Made for each connection; most never need it.
        with wrapper.wrap_database_errors:
            raise


def _written_out(raw: Any, sql: str, params: Any) -> bytes:
    """Return the statement as MySQLdb's cursor writes it."""
    literal = raw.literal
    plain = raw.encoders.get(int) is Thing2Str
    return sql.encode(raw.encoding) % tuple(
        [
            b"%d" % each if plain and type(each) is int else literal(each)
            for each in params
        ]
    )


@cache
def _fetch_by(kind: Any) -> Callable[[Any, bytes, str], Sequence[Any]] | None:
    """Return what sends a statement on a class of connections, and fetches all rows."""
    if kind is MysqldbConnection:
        return _fetch
    if find_spec("asyncmy") is None:
        return None
    from .connection import Connection

    return Connection.fetch if kind is Connection else None


def _fetch(raw: Any, query: bytes, sql: str) -> Any:
    raw.query(query)
    if not raw.field_count():
        return ()
    converter = raw.converter
    if all(converter.get(code) is each for code, each in OWN.items()):
        converter = {**converter, **COMPILED}
    return _mysql.result(raw, False, converter).fetch_row(0, 0)
