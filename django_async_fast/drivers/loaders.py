"""The columns of a text result that psycopg loads, because `rust/` does not."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from psycopg import pq
from psycopg.adapt import Transformer

from .. import _native

TEXT = pq.Format.TEXT

# Settings of the session that change what a value is printed as.
SETTINGS = (b"DateStyle", b"IntervalStyle", b"client_encoding")

_ISO = (b"ISO, MDY", b"ISO, DMY", b"ISO, YMD")
# By type: the setting, and the values of it in which `rust/` reads the type.
_STYLES = {
    1082: (b"DateStyle", _ISO),
    1114: (b"DateStyle", _ISO),
    1184: (b"DateStyle", _ISO),
    1186: (b"IntervalStyle", (b"postgres",)),
}


def is_utf8(pgconn: Any) -> bool:
    """Tell whether the session's text is what `rust/` reads.

    Django asks for UTF-8 whenever it connects; a statement may change it later.
    """
    encoding: bytes = pgconn.parameter_status(b"client_encoding")
    return encoding == b"UTF8"


def needed(
    cursor: Any, oids: tuple[int, ...], stands_in: Callable[[int, Any], bool]
) -> dict[int, Callable[[bytes], Any]]:
    """Return, by column, the functions that load what the core does not read.

    `stands_in(oid, loader)` tells whether the core gives the loader's values.
    """
    adapters, connection = cursor.adapters, cursor.connection
    # The decoder is kept with the session, which outlives cursor and block.
    session = connection.__dict__.get("origin", connection)
    psycopg = Transformer(SimpleNamespace(adapters=adapters, connection=session))
    read = {
        oid
        for oid in _readable(connection.pgconn, set(oids))
        if stands_in(oid, adapters.get_loader(oid, TEXT))
    }
    return {
        column: psycopg.get_loader(oid, TEXT).load
        for column, oid in enumerate(oids)
        if oid not in read
    }


def _readable(pgconn: Any, oids: set[int]) -> set[int]:
    """Return which of these types `rust/` can read as this session prints them."""
    if not is_utf8(pgconn):
        return set()
    others = {
        oid
        for oid, (setting, styles) in _STYLES.items()
        if pgconn.parameter_status(setting) not in styles
    }
    return oids & _native.decode.TEXT_OIDS - others
