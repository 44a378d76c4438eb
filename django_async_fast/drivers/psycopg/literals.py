"""Values as psycopg writes them into a statement's text: what the core writes itself.

In: a psycopg connection and parameters. Out: bytes for each, which psycopg's
`Transformer.as_literal()` would return. Next: `native/literals.pxi`.
"""

from datetime import date, datetime
from decimal import Decimal
from types import NoneType
from typing import Any
from uuid import UUID

from psycopg.adapt import AdaptersMap, PyFormat, Transformer
from psycopg.types.numeric import Int2, Int4, Int8, IntNumeric

from ... import _native
from .prepared_statements import is_of_psycopg
from .type_loaders import is_utf8

# Of a class of values: how the core writes them, and by which of psycopg's dumpers they
# are written so.
_KINDS: dict[type, tuple[str, tuple[str, ...]]] = {
    int: ("integer", ("IntDumper",)),
    Int2: ("integer", ("Int2Dumper",)),
    Int4: ("integer", ("Int4Dumper",)),
    Int8: ("integer", ("Int8Dumper",)),
    IntNumeric: ("integer", ("IntNumericDumper",)),
    str: ("text", ("StrDumper", "StrDumperUnknown")),
    NoneType: ("null", ("NoneDumper",)),
    bool: ("boolean", ("BoolDumper",)),
    Decimal: ("number", ("DecimalDumper",)),
    datetime: ("moment", ("DatetimeDumper",)),
    date: ("day", ("DateDumper",)),
    UUID: ("identity", ("UUIDDumper",)),
}


def _is_psycopgs(kind: type[Any], dumper: Any) -> bool:
    return is_of_psycopg(dumper) and dumper.__name__ in _KINDS[kind][1]


LITERALS: Any = _native.COMPILED and _native.rows.Literals(
    {kind: how for kind, (how, _) in _KINDS.items()},
    # The core looks into it; without that they are all psycopg's.
    adapters_map=AdaptersMap if hasattr(AdaptersMap(), "_dumpers") else None,
    text=PyFormat.TEXT,
    is_psycopgs=_is_psycopgs,
    transformer=Transformer,
    is_utf8=is_utf8,
)
