"""The columns of a text result that psycopg loads, because `rust/` does not."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from psycopg import pq
from psycopg.adapt import Transformer

from .type_kinds import TypeKind, TypeKinds

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


# The kinds of the types that the core reads, by OID; by column, what loads the others.
Reading = tuple[dict[int, TypeKind], dict[int, Callable[[Any], Any]]]


def is_utf8(pgconn: Any) -> bool:
    """Tell whether the session's text is what `rust/` reads.

    Django asks for UTF-8 whenever it connects; a statement may change it later.
    """
    encoding: bytes = pgconn.parameter_status(b"client_encoding")
    return encoding == b"UTF8"


def reading_text(cursor: Any, oids: tuple[int, ...], kinds: TypeKinds) -> Reading:
    """Return how the columns of a text result are read, on this session."""
    connection = cursor.connection
    # The decoder is kept with the session, which outlives cursor and block.
    session = connection.__dict__.get("session", connection)
    psycopg = Transformer(SimpleNamespace(adapters=cursor.adapters, connection=session))
    unreadable = _in_other_styles(connection.pgconn)
    readable = is_utf8(connection.pgconn)
    read: dict[int, TypeKind] = {}
    loads: dict[int, Callable[[Any], Any]] = {}
    for column, oid in enumerate(oids):
        found = kinds.for_text(oid, connection, unreadable) if readable else None
        if found is None:
            loads[column] = psycopg.get_loader(oid, TEXT).load
        else:
            read |= found
    return read, loads


def _in_other_styles(pgconn: Any) -> set[int]:
    """Return the types that this session prints as `rust/` does not read them."""
    return {
        oid
        for oid, (setting, styles) in _STYLES.items()
        if pgconn.parameter_status(setting) not in styles
    }
