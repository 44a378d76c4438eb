"""What kind of type an OID is, as psycopg would load it on this connection.

The loader that psycopg has for a type's text decides which value Django gets; the
core may stand in for it where it knows the loader and the type's binary form.
Types that an extension or a project has made are looked up in the catalogue,
once per process and database.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from django.db.backends.postgresql.psycopg_any import BaseTzLoader
from psycopg import ClientCursor, _cmodule, pq
from psycopg.rows import tuple_row
from psycopg.types import array, hstore, multirange, numeric, string, uuid
from psycopg.types import bool as bool_
from psycopg.types import datetime as datetime_
from psycopg.types import json as json_
from psycopg.types import range as range_

from ... import _native

TEXT = pq.Format.TEXT

TypeKind = tuple[str, int]

FIXED: TypeKind = ("fixed", 0)
TIMESTAMPTZ = 1184
JSON = 114
# The only type of PostgreSQL's whose arrays are printed with semicolons.
BOX = 603

# The loaders whose values `rust/` reproduces; it reads all other OIDs that it has a
# decoder for as their text. Results with a type whose loader has been replaced are
# text, and psycopg loads that type.
EXPECTED: dict[int, type[Any]] = {
    16: bool_.BoolLoader,
    17: string.ByteaLoader,
    20: numeric.IntLoader,
    21: numeric.IntLoader,
    23: numeric.IntLoader,
    26: numeric.IntLoader,
    25: string.TextLoader,
    JSON: json_.JsonLoader,
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

# What the functions that send a value make of its text: PostgreSQL's own by their
# names, those of extensions with the name of their library.
_SEND_TEXT = re.compile("enum_send|textsend|varcharsend|bpcharsend|namesend")
_SEND_HEX = re.compile(r"\$libdir/postgis-\d+:(LWGEOM|geography)_send")

_LOOK_UP = """
    SELECT CASE lanname WHEN 'internal' THEN prosrc
                        WHEN 'c' THEN probin || ':' || prosrc ELSE '' END, typelem
    FROM pg_type JOIN pg_proc ON pg_proc.oid = typsend
    JOIN pg_language ON pg_language.oid = prolang
    WHERE pg_type.oid = %s
"""

# By server and database: the function that sends a type, and its elements' OID.
_catalogues: dict[Any, dict[int, tuple[str, int]]] = {}


def _both(loader: type[Any]) -> tuple[type[Any], ...]:
    """Return `loader` and psycopg's compiled twin of it, if it has one."""
    return loader, getattr(_cmodule._psycopg, loader.__name__, loader)


_TEXT_LOADERS = (None, *_both(string.TextLoader))

# Loaders of types made of another type, and the attribute that names that.
_COMPOUND = [
    ("array", _both(array.ArrayLoader), "base_oid"),
    ("range", _both(range_.RangeLoader), "subtype_oid"),
    ("multirange", _both(multirange.MultirangeLoader), "subtype_oid"),
]


def _stands_in(oid: int, loader: Any) -> bool:
    """Tell whether the core's decoder of this OID gives what `loader` gives."""
    if oid == TIMESTAMPTZ:
        return _is_one_of(loader, (BaseTzLoader,))
    if oid == JSON and json_.JsonLoader._loads is not json.loads:
        return False  # set_json_loads() for the whole process
    expected = EXPECTED.get(oid)
    return loader in (_both(expected) if expected else _TEXT_LOADERS)


def _is_one_of(loader: Any, loaders: tuple[type[Any], ...]) -> bool:
    """Tell whether `loader` is made from one of these, and loads as it does."""
    made = loader is not None and issubclass(loader, loaders)
    return made and loader.load in [each.load for each in loaders]


class TypeKinds:
    """The types that the core decodes from binary, with one set of loaders."""

    def __init__(self, adapters: Any) -> None:
        self._adapters = adapters
        self._found: dict[int, TypeKind | None] = {}

    def decodes(self, oid: int, connection: Any, ask: bool = True) -> bool:
        """Tell whether the core decodes this type.

        Asks the server what it is on `connection`, if need be and if it may.
        """
        try:
            return self._kind(oid, connection, ask) is not None
        except _NotLookedUp:
            return False

    def _kind(self, oid: int, connection: Any, ask: bool) -> TypeKind | None:
        if oid not in self._found:
            self._found[oid] = self._find(oid, connection, ask)
        return self._found[oid]

    def for_text(
        self, oid: int, connection: Any, unreadable: set[int]
    ) -> dict[int, TypeKind] | None:
        """Return the kinds by which the core reads a type's text, None if it cannot.

        `unreadable` are types whose text is in another style than the core's.
        """
        loader = self._adapters.get_loader(oid, TEXT)
        if oid in _native.decode.TEXT_OIDS:
            return {} if oid not in unreadable and _stands_in(oid, loader) else None
        if loader in _TEXT_LOADERS:
            return {oid: ("text", 0)}
        if not self.decodes(oid, connection):
            return None
        kinds = self.of([oid])
        inside = kinds[oid][1]
        if not inside:
            return kinds
        if getattr(loader, "delimiter", b",") != (b";" if inside == BOX else b","):
            return None
        found = self.for_text(inside, connection, unreadable)
        return None if found is None else found | {oid: kinds[oid]}

    def of(self, oids: Iterable[int]) -> dict[int, TypeKind]:
        """Return the kinds of these known types and of what they are made of."""
        kinds: dict[int, TypeKind] = {}
        for oid in oids:
            kind = self._found[oid]
            if kind is not None and kind != FIXED:
                kinds |= {oid: kind}
                if kind[1]:
                    kinds |= self.of([kind[1]])
        return kinds

    def _find(self, oid: int, connection: Any, ask: bool) -> TypeKind | None:
        loader = self._adapters.get_loader(oid, TEXT)
        if oid in _native.decode.BINARY_OIDS:
            return FIXED if _stands_in(oid, loader) else None
        for name, loaders, attribute in _COMPOUND:
            if _is_one_of(loader, loaders):
                inside = getattr(loader, attribute)
                inside = inside or _look_up(oid, connection, ask)[1]
                known = self._kind(inside, connection, ask) is not None
                return (name, inside) if known else None
        if loader is hstore.HstoreLoader:
            return "hstore", 0
        if loader in _TEXT_LOADERS:
            return _of_function(_look_up(oid, connection, ask)[0])
        return None


def _of_function(send: str) -> TypeKind | None:
    if _SEND_TEXT.fullmatch(send):
        return "text", 0
    return ("hex", 0) if _SEND_HEX.fullmatch(send) else None


class _NotLookedUp(Exception):
    """The server has not been asked about a type."""


def _look_up(oid: int, connection: Any, ask: bool) -> tuple[str, int]:
    pgconn = connection.pgconn
    catalogue = _catalogues.setdefault((pgconn.host, pgconn.port, pgconn.db), {})
    if oid not in catalogue:
        if not ask:
            raise _NotLookedUp
        with ClientCursor(connection, row_factory=tuple_row) as cursor:
            found = cursor.execute(_LOOK_UP, [oid]).fetchone()
        catalogue[oid] = found or ("", 0)
    return catalogue[oid]
