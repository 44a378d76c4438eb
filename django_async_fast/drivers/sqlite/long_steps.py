"""Statements whose steps are long: made in a thread, for the loop to go on meanwhile.

SQLite calls its progress handler between steps, and deletes all rows of a table in one.
The connection is nobody else's until the thread is done. A cancelled statement is
interrupted, as the handler would end it.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ..driver_thread import DriverThread
from . import progress

if TYPE_CHECKING:
    from .connection import Connection

_LONG = re.compile(
    r"\s*(?:VACUUM\b|REINDEX\b|(?:CREATE|CREATE\s+UNIQUE|DROP)\s+INDEX\b"
    r"|DROP\s+TABLE\b"
    r"|PRAGMA\s+(?:\w+\.)?(?:integrity|quick)_check\b"
    r'|DELETE\s+FROM\s+(?:"[^"]+"|[\w.]+)\s*;?\s*$)',
    re.IGNORECASE,
)

# Seconds between two attempts to interrupt: one before it begins does nothing.
_AGAIN = 0.01


def has_long_steps(sql: str) -> bool:
    """Tell whether a step of the statement may take as long as its table is large."""
    return _LONG.match(sql) is not None


async def call(connection: Connection, function: Callable[[], Any]) -> Any:
    """Return `function()`, called in a thread that is done before this is."""
    thread = DriverThread(f"statement on {connection.gate.alias}")
    outcome = thread.begin(function)
    thread.end()
    interrupt = sqlite3.Connection.interrupt
    try:
        return await asyncio.shield(outcome)
    except GeneratorExit as exc:  # nobody awaits the thread any more
        connection.progress.failure = exc
        while not thread.join(_AGAIN):
            interrupt(connection)
        raise
    except asyncio.CancelledError as exc:
        connection.progress.failure = exc
        may_end = connection.progress.may_end
        end = perf_counter() + (0.0 if may_end else progress.PATIENCE)
        while not outcome.done():
            try:
                await asyncio.wait({outcome}, timeout=_AGAIN)
            except asyncio.CancelledError:
                end = 0.0
            if perf_counter() >= end:
                interrupt(connection)
        outcome.exception()  # of which nobody else hears
        raise
