"""Statements whose steps are long: made in a thread, for the loop to go on meanwhile.

SQLite calls its progress handler between steps, and deletes all rows of a table in one.
The connection is nobody else's until the thread is done. A cancelled statement is ended
by a handler of its own: `interrupt()` would end other cursors' reads as well.

Without one, where that is as quick (a small file), and where SQLite calls functions of
the project's: they expect the thread and the context of whoever asks.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..driver_thread import DriverThread

if TYPE_CHECKING:
    from .connection import Connection

_LONG = re.compile(
    r"\s*(?:VACUUM\b|REINDEX\b|(?:CREATE|CREATE\s+UNIQUE|DROP)\s+INDEX\b"
    r"|DROP\s+TABLE\b"
    r"|PRAGMA\s+(?:\w+\.)?(?:integrity|quick)_check\b"
    r'|DELETE\s+FROM\s+(?:"[^"]+"|[\w.]+)\s*;?\s*$)',
    re.IGNORECASE,
)

# SQLite asks after so many of its steps whether to end the statement.
STEPS = 100_000

# Bytes of a file in which no step takes longer than a thread is worth.
SMALL = 1 << 20

_threads: set[DriverThread] = set()


def has_long_steps(sql: str) -> bool:
    """Tell whether a step of the statement may take as long as its table is large."""
    return _LONG.match(sql) is not None


def is_small(path: str) -> bool:
    """Tell whether the database is a small file, with what its log adds to it.

    SQLite's own count of pages would begin to read, which may forbid a later write.
    """
    try:
        size = Path(path).stat().st_size
        with suppress(FileNotFoundError):
            size += Path(f"{path}-wal").stat().st_size
    except OSError:  # in memory
        return False
    return size < SMALL


async def call(connection: Connection, function: Callable[[], Any]) -> Any:
    """Return `function()`, called in a thread that is done before this is."""
    thread = DriverThread(f"statement on {connection.gate.alias}")
    outcome = thread.begin(function)
    thread.end()
    _threads.add(thread)
    try:
        return await asyncio.shield(outcome)
    except GeneratorExit as exc:  # nobody awaits the thread any more
        connection.progress.note_failure(exc, patient=False)
        thread.join()
        raise
    except asyncio.CancelledError as exc:
        connection.progress.note_failure(exc, patient=True)
        while not outcome.done():
            try:
                await asyncio.wait({outcome})
            except asyncio.CancelledError as again:
                connection.progress.note_failure(again, patient=False)
        outcome.exception()  # of which nobody else hears
        raise
    finally:
        _threads.discard(thread)


def _wait_for_threads() -> None:
    """Wait until a child may be forked: it gets SQLite's locks as they are."""
    for thread in tuple(_threads):
        thread.join()


os.register_at_fork(before=_wait_for_threads)
