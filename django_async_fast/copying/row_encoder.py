"""What the core encodes for a binary COPY, and of which fields it may.

A list, a range or a dict goes by the core alone: psycopg finds out its type by what is
in it. Where the core leaves one of them, the rows are text.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from psycopg.types.range import Range

from .. import _native
from ..drivers.psycopg import results, statement, type_loaders
from ..unpatched import unpatched_class

_CALLED = "get_prep_value", "get_db_prep_value", "get_db_prep_save", "to_python"
_WHOLE = (
    *("HStoreField", "IntegerRangeField", "BigIntegerRangeField"),
    *("DecimalRangeField", "DateRangeField", "DateTimeRangeField"),
)


def encoder(
    cursor: Any, oids: list[int], fields: list[Any], classes: Iterable[type[Any]]
) -> Any:
    """Return the core's encoder of rows of these types, None where there is none.

    Or where values of one of `classes` are not dumped by psycopg's own code.
    """
    raw = cursor.connection
    if (
        not _native.COMPILED
        or not type_loaders.is_utf8(raw.pgconn)
        or not statement.dumps_as_psycopg(raw, (*classes, int, list, Range))
    ):
        return None
    kinds = results.decoders(raw).type_kinds
    if not all(kinds.decodes(oid, raw) for oid in oids):
        return None
    depths = [*map(_depth, fields)]
    try:
        return _native.decode.RowEncoder(
            oids, kinds=kinds.of(oids), depths=depths if any(depths) else None
        )
    except ValueError:
        return None


def _depth(field: Any) -> int:
    """Return how many lists are in one another in a field's values.

    The server takes more; Django asks the innermost field about them.
    """
    depth = 0
    while (field := getattr(field, "base_field", None)) is not None:
        depth += 1
    return depth


def calls_own(field: Any) -> bool:
    """Tell whether a field prepares values by its class's own methods."""
    own = unpatched_class(type(field), type(field), _CALLED)
    return own.holds() and vars(field).keys().isdisjoint(_CALLED)


def handed_on_whole(field: Any, is_handed_on: Callable[[Any], bool]) -> bool:
    """Tell whether a field hands on lists, ranges or dicts as they are.

    `is_handed_on` tells it of what is in a list.
    """
    # A project without such fields need not have what they import.
    fields: Any = sys.modules.get("django.contrib.postgres.fields")
    if fields is None or not calls_own(field):
        return False
    if type(field) is fields.ArrayField:
        inside = field.base_field
        return is_handed_on(inside) or handed_on_whole(inside, is_handed_on)
    return type(field) in {getattr(fields, name) for name in _WHOLE}
