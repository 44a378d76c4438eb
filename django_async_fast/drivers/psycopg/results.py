"""psycopg results -> batches of the core.

Which decoder a column gets is decided once per shape of result and connection,
and kept with the connection.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from psycopg import pq
from psycopg._tz import get_tzinfo
from psycopg.adapt import AdaptersMap, Loader
from psycopg.types.json import JsonLoader

from ... import _native
from . import printed_values, type_kinds, type_loaders

TEXT, BINARY = pq.Format.TEXT, pq.Format.BINARY

# Settings of the session on which the values depend, besides their bytes.
_SETTINGS: dict[int, tuple[bytes, ...]] = {
    BINARY: (b"TimeZone",),
    TEXT: (b"TimeZone", *type_loaders.SETTINGS),
}


# So many shapes of results are known to a session: a request may name its columns.
SHAPES = 1024


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
        # By the types of columns that `reads_binary()` has answered for: the decoder of
        # a result without a cursor and the session's time zone, once there was one.
        self.readable: dict[tuple[int, ...], tuple[Any, bytes] | None] = {}
        # Django's time zone; a cursor may have one of its own.
        self.zone = _zone(adapters)
        self.type_kinds = type_kinds.TypeKinds(adapters)
        # A loader takes it along when it is made.
        self.json_loads = JsonLoader._loads

    def get(
        self, connection: Any, cursor: Any, oids: tuple[int, ...], result_format: int
    ) -> Any:
        """Return the RowDecoder for columns of these types and this format.

        `cursor` loads what only psycopg can; without one the format is binary.
        Raises UnknownType if the format is binary; psycopg can load any text.
        """
        zone = self.zone if cursor is None else _zone(cursor.adapters)
        status = connection.pgconn.parameter_status
        settings = tuple([status(name) for name in _SETTINGS[result_format]])
        key = oids, result_format, zone, settings
        decoder = self._by_shape.get(key)
        if decoder is None:
            if len(self._by_shape) >= SHAPES:
                self._by_shape.clear()
                self.readable.clear()
            decoder = self._by_shape[key] = self._make(
                connection, cursor, oids, result_format, zone
            )
        if cursor is None:
            self.readable[oids] = decoder, settings[0]
        return decoder

    def batch(
        self, plan: Any, connection: Any, cursor: Any, result: Any, columns: int
    ) -> Any:
        """Return the rows of `result`, in either format, as a batch for `plan`.

        `cursor` is what the result came by, None for a binary one that came without.
        """
        _, oids, formats = _native.decode.shape(result.pgresult_ptr)
        result_format = formats[0] if formats else TEXT
        decoder = self.get(connection, cursor, oids[:columns], result_format)
        return _batch(plan, decoder, result)

    def reads_binary(self, connection: Any, oids: tuple[int, ...]) -> bool:
        """Tell whether the core reads these types as psycopg loads their text here.

        Asks nobody: a type that has to be looked up first is not read.
        """
        if not type_loaders.is_utf8(connection.pgconn):
            return False
        if oids not in self.readable:
            if not all(
                self.type_kinds.decodes(oid, connection, ask=False) for oid in oids
            ):
                return False
            self.readable[oids] = None
        return True

    def converted(self, plan: Any, connection: Any, result: Any, columns: int) -> Any:
        """Return what `batch()` does, for a binary result of types that nobody reads.

        Raises NotSupportedError where that cannot be.
        """
        oids = tuple([result.ftype(column) for column in range(columns)])
        known = [self.type_kinds.decodes(oid, connection) for oid in oids]
        decoder = _native.decode.RowDecoder(
            oids,
            result_format=BINARY,
            session_timezone=get_tzinfo(connection.pgconn),
            timezone=self.zone,
            kinds=self.type_kinds.of(oids),
            loaders={
                column: printed_values.loads(connection, result, column)
                for column in range(columns)
                if not known[column]
            },
        )
        return _batch(plan, decoder, result)

    def _make(
        self,
        connection: Any,
        cursor: Any,
        oids: tuple[int, ...],
        result_format: int,
        zone: Any,
    ) -> Any:
        if result_format == BINARY:
            found, loads = self._reading_binary(oids, connection)
        else:
            found, loads = type_loaders.reading_text(cursor, oids, self.type_kinds)
        return _native.decode.RowDecoder(
            oids,
            result_format=result_format,
            session_timezone=get_tzinfo(connection.pgconn),
            timezone=zone,
            kinds=found,
            loaders=loads,
        )

    def _reading_binary(
        self, oids: tuple[int, ...], connection: Any
    ) -> type_loaders.Reading:
        for column, oid in enumerate(oids):
            if not self.type_kinds.decodes(oid, connection):
                raise UnknownType(column, oid)
        return self.type_kinds.of(oids), {}


def check_row(row: Any) -> None:
    """Raise TypeError for a row whose values are not read by their positions."""
    if isinstance(row, (Mapping, str, bytes)):
        kind = type(row).__name__
        raise TypeError(f"Rows are read by position, not from a {kind}.")


def loaded(plan: Any, rows: Sequence[Any], wrapper: Any = None) -> Any:
    """Return rows that a driver has loaded as a batch for `plan`.

    A plan that is kept is given the `wrapper` whose rows they are. Raises TypeError
    where a `row_factory` has made something else than sequences.
    """
    if rows:
        check_row(rows[0])
    if not isinstance(rows, list):  # mysqlclient's are a tuple
        rows = list(rows)
    return _native.rows.TupleBatch(plan, rows, wrapper)


def _batch(plan: Any, decoder: Any, result: Any) -> Any:
    address = result.pgresult_ptr
    rows = decoder.check(address)
    return _native.rows.ResultBatch(plan, decoder, result, address, rows)


def decoders(connection: Any) -> Decoders:
    """Return the connection's decoders; made anew when what loads values changes."""
    # They are kept with the session, which serves one block after the other.
    session = connection.__dict__.get("session", connection).__dict__
    found = session.get("_daf_decoders")
    if found is None or found.json_loads is not JsonLoader._loads:
        adapters: AdaptersMap = connection.adapters
        found = session["_daf_decoders"] = Decoders(adapters)
        adapters._register_loader_callback = partial(_registered, session)
    return found


def _registered(session: dict[str, Any], oid: int, loader: type[Loader]) -> None:
    # Each connect() registers again what the session has (with
    # django.contrib.postgres, hstore's): only another loader makes a difference.
    known = session.setdefault("_daf_loaders", {})
    if known.get((oid, loader.format)) is not loader:
        known[oid, loader.format] = loader
        session.pop("_daf_decoders", None)


def _zone(adapters: AdaptersMap) -> Any:
    return getattr(adapters.get_loader(type_kinds.TIMESTAMPTZ, TEXT), "timezone", None)
