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
from . import loaders

TEXT, BINARY = pq.Format.TEXT, pq.Format.BINARY

TIMESTAMPTZ = 1184

# Settings of the session on which the values depend, besides their bytes.
_SETTINGS: dict[int, tuple[bytes, ...]] = {
    BINARY: (b"TimeZone",),
    TEXT: (b"TimeZone", *loaders.SETTINGS),
}

# The loaders whose values `rust/` reproduces. A connection where one of them
# has been replaced keeps text results, and psycopg's loading of that type.
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


def _both(loader: type[Any]) -> tuple[type[Any], ...]:
    """Return `loader` and psycopg's compiled twin of it, if it has one."""
    return loader, getattr(_cmodule._psycopg, loader.__name__, loader)


_TEXT_LOADERS = (None, *_both(string.TextLoader))


def stands_in(oid: int, loader: Any) -> bool:
    """Tell whether the core's decoder of this OID gives what `loader` gives."""
    if oid == TIMESTAMPTZ:
        return isinstance(loader, type) and issubclass(loader, psycopg_any.BaseTzLoader)
    expected = EXPECTED.get(oid)
    return loader in (_both(expected) if expected else _TEXT_LOADERS)


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
            for oid in (*EXPECTED, TIMESTAMPTZ)
            if not stands_in(oid, adapters.get_loader(oid, TEXT))
        ]

    def get(self, cursor: Any, oids: tuple[int, ...], result_format: int) -> Any:
        """Return the RowDecoder for columns of these types and this format.

        Raises UnknownType if the format is binary; psycopg can load any text.
        """
        zone = getattr(cursor.adapters.get_loader(TIMESTAMPTZ, TEXT), "timezone", None)
        status = cursor.connection.pgconn.parameter_status
        settings = tuple([status(name) for name in _SETTINGS[result_format]])
        key = oids, result_format, zone, settings
        decoder = self._by_shape.get(key)
        if decoder is None:
            decoder = self._by_shape[key] = self._make(
                cursor, oids, result_format, zone
            )
        return decoder

    def _make(
        self, cursor: Any, oids: tuple[int, ...], result_format: int, zone: Any
    ) -> Any:
        if result_format == BINARY:
            _refuse_unknown(oids)
            columns = {}
        else:
            columns = loaders.needed(cursor, oids, stands_in)
        return _native.decode.RowDecoder(
            oids,
            result_format=result_format,
            session_timezone=get_tzinfo(cursor.connection.pgconn),
            timezone=zone,
            loaders=columns,
        )


def _refuse_unknown(oids: tuple[int, ...]) -> None:
    for column, oid in enumerate(oids):
        if oid not in _native.decode.BINARY_OIDS:
            raise UnknownType(column, oid)


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


def binary_agrees(connection: Any) -> bool:
    """Tell whether the core reads from binary what psycopg loads from text here."""
    return not decoders(connection).customised and loaders.is_utf8(connection.pgconn)


def batch(plan: Any, cursor: Any, result: Any, columns: int) -> Any:
    """Return the rows of `result`, in either format, as a batch for `plan`."""
    address = result.pgresult_ptr
    rows, oids, formats = _native.decode.shape(address)
    result_format = formats[0] if formats else TEXT
    decoder = decoders(cursor.connection).get(cursor, oids[:columns], result_format)
    decoder.check(address)
    return _native.rows.ResultBatch(plan, decoder, result, address, rows)
