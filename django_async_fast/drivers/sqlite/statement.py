"""A query whose rows are wanted whole, run without Django's cursor around sqlite3's.

Those two cost as much as a query by key does. Where nobody looks at either, those of
their steps that have an effect are done here; where somebody might, there is a cursor.

In: a wrapper, SQL and its parameters.
Out: all rows, as tuples.
Next: `native/converters.pxi`.
"""

from __future__ import annotations

import sqlite3
from _thread import get_ident
from asyncio import _get_running_loop
from functools import cache, lru_cache
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db.backends import utils
from django.db.backends.sqlite3.base import (
    FORMAT_QMARK_REGEX,
    DatabaseWrapper,
    SQLiteCursorWrapper,
)
from django.db.backends.utils import CursorWrapper
from django.utils.asyncio import async_unsafe

from ...unpatched import Unpatched
from .connection import Connection
from .statements import StatementKind, kind_of

# What is not called here. Who watches queries, or has a backend of their own,
# replaces one of these, in the class or in the connection.
_NOT_CALLED = (
    *("cursor", "_cursor", "create_cursor", "make_cursor", "_prepare_cursor"),
    *("close_if_health_check_failed", "validate_thread_sharing", "queries_logged"),
    *("ensure_connection", "validate_no_broken_transaction"),
)
_NAMES = frozenset(_NOT_CALLED)


@cache
def _unpatched(kind: Any) -> Unpatched:
    """Tell whether Django makes the cursors of such wrappers, and executes."""
    return Unpatched(
        (kind, DatabaseWrapper, _NOT_CALLED),
        (CursorWrapper, CursorWrapper),
        (SQLiteCursorWrapper, SQLiteCursorWrapper),
    )


@async_unsafe  # type: ignore[untyped-decorator]
def _refuse() -> None:
    """Refuse a query in a coroutine, in Django's words, unless it is told not to."""


@lru_cache(maxsize=1000)
def _read(sql: str) -> tuple[str, StatementKind]:
    """Return a statement of Django's as sqlite3 wants it, and what it does."""
    sql = FORMAT_QMARK_REGEX.sub("?", sql).replace("%%", "%")
    return sql, kind_of(sql)


def rows(wrapper: Any, sql: str, params: Any) -> list[Any] | None:
    """Return all rows of a query, None where a cursor is to run it.

    Raises Django's errors.
    """
    sql, kind = _read(sql)
    if kind is not StatementKind.READ or (raw := _unobserved(wrapper)) is None:
        return None
    if wrapper.needs_rollback:
        wrapper.validate_no_broken_transaction()
    try:
        if type(raw) is Connection:
            return raw.run(kind, sql, _fetch, raw, sql, params)
        return _fetch(raw, sql, params)
    except Exception:
        # Made for each connection; most never need it.
        with wrapper.wrap_database_errors:
            raise


def _fetch(raw: Any, sql: str, params: Any) -> list[Any]:
    return sqlite3.Cursor(raw).execute(sql, params).fetchall()


def _unobserved(wrapper: Any) -> Any:
    """Return the open connection if the statement may skip the cursor, else None."""
    backend: Any = type(wrapper)
    if not _unpatched(backend).holds() or not _NAMES.isdisjoint(vars(wrapper)):
        return None
    if (
        utils.CursorWrapper is not CursorWrapper
        or wrapper.force_debug_cursor
        or wrapper.execute_wrappers
        or settings.DEBUG
        or not apps.ready
    ):
        return None
    # What Django does with a connection before it makes a cursor.
    if _get_running_loop() is not None:
        _refuse()
    if wrapper.health_check_enabled:
        wrapper.close_if_health_check_failed()
    raw = wrapper.connection
    if raw is None:
        wrapper.ensure_connection()
        raw = wrapper.connection
    if wrapper._thread_ident != get_ident():
        wrapper.validate_thread_sharing()
    own = type(raw) is Connection or type(raw) is sqlite3.Connection
    return raw if own and raw.row_factory is None else None
