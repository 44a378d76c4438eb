"""psycopg results -> batches of the core.

Which decoder a column gets is decided once per shape of result and connection,
and kept with the connection.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql import psycopg_any
from psycopg import _cmodule, pq
from psycopg._tz import get_tzinfo
from psycopg.adapt import AdaptersMap
from psycopg.types import bool as bool_
from psycopg.types import datetime as datetime_
from psycopg.types import json as json_
from psycopg.types import numeric, string, uuid

from .. import _native

TEXT, BINARY = pq.Format.TEXT, pq.Format.BINARY

TIMESTAMPTZ = 1184

# The loaders whose values `rust/` reproduces. A connection where one of them
# has been replaced keeps text results, and psycopg's loading.
EXPECTED: dict[int, type[Any]] = {
    16: bool_.BoolLoader,
    17: string.ByteaLoader,
    20: numeric.IntLoader,
    21: numeric.IntLoader,
    23: numeric.IntLoader,
    26: numeric.IntLoader,
    25: string.TextLoader,
    114: json_.JsonLoader,
    650: string.TextLoader,
    700: numeric.FloatLoader,
    701: numeric.FloatLoader,
    869: string.TextLoader,
    1042: string.TextLoader,
    1043: string.TextLoader,
    1082: datetime_.DateLoader,
    1083: datetime_.TimeLoader,
    1114: datetime_.TimestampLoader,
    1186: datetime_.IntervalLoader,
    1266: datetime_.TimetzLoader,
    1700: numeric.NumericLoader,
    2950: uuid.UUIDLoader,
    3802: string.TextLoader,
}


def _compiled(loader: type[Any]) -> Any:
    """Return psycopg's compiled twin of `loader`, if it has one."""
    return getattr(_cmodule._psycopg, loader.__name__, None)


class UnknownType(Exception):
    """A binary result has a column that nobody can read as Django needs it."""

    def __init__(self, column: int, oid: int) -> None:
        super().__init__(f"column {column} has type OID {oid}")
        self.column = column
        self.oid = oid


class Decoders:
    """The decoders of one psycopg connection, by the shape of the result."""

    def __init__(self, adapters: AdaptersMap) -> None:
        self._by_shape: dict[Any, Any] = {}
        self.customised = [
            oid
            for oid, expected in EXPECTED.items()
            if adapters.get_loader(oid, TEXT) not in (expected, _compiled(expected))
        ]
        loader = adapters.get_loader(TIMESTAMPTZ, TEXT)
        if loader is None or not issubclass(loader, psycopg_any.BaseTzLoader):
            self.customised.append(TIMESTAMPTZ)

    def get(self, cursor: Any, oids: tuple[int, ...]) -> Any:
        """Return the RowDecoder for columns of these types; raise UnknownType."""
        zone = cursor.adapters.get_loader(TIMESTAMPTZ, TEXT).timezone
        session = cursor.connection.pgconn.parameter_status(b"TimeZone")
        key = oids, zone, session
        decoder = self._by_shape.get(key)
        if decoder is None:
            decoder = self._by_shape[key] = self._make(cursor, oids, zone)
        return decoder

    def _make(self, cursor: Any, oids: tuple[int, ...], zone: Any) -> Any:
        for column, oid in enumerate(oids):
            if oid not in _native.decode.BINARY_OIDS:
                raise UnknownType(column, oid)
        session = get_tzinfo(cursor.connection.pgconn)
        return _native.decode.RowDecoder(oids, session_timezone=session, timezone=zone)


def decoders(connection: Any) -> Decoders:
    """Return the connection's decoders; made anew when its adapters change."""
    # They are kept with the session, which serves one block after the other.
    session = connection.__dict__.get("origin", connection).__dict__
    found = session.get("_daf_decoders")
    if found is None:
        adapters: AdaptersMap = connection.adapters
        found = session["_daf_decoders"] = Decoders(adapters)
        adapters._register_loader_callback = lambda *_: session.pop(
            "_daf_decoders", None
        )
    return found


def text_is_utf8(connection: Any) -> bool:
    """Tell whether the session's text is what `rust/` reads.

    Django asks for UTF-8 whenever it connects; a statement may change it later.
    """
    encoding: bytes = connection.pgconn.parameter_status(b"client_encoding")
    return encoding == b"UTF8"


def batch(plan: Any, cursor: Any, result: Any, columns: int) -> Any:
    """Return the rows of a binary `result` as a batch for `plan`."""
    address = result.pgresult_ptr
    rows, oids, _ = _native.decode.shape(address)
    decoder = decoders(cursor.connection).get(cursor, oids[:columns])
    decoder.check(address)
    return _native.rows.ResultBatch(plan, decoder, result, address, rows)
