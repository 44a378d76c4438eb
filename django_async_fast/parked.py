"""A pooled connection with the wrapper and the view that it was last used with.

Most blocks leave both as Django and psycopg have made them, and nobody keeps them. A
block whose first statement is known before it needs a wrapper (`shapes.py`) takes all
three: to make and connect a wrapper costs half of what a `get()` does.
"""

from __future__ import annotations

from sys import getrefcount
from typing import TYPE_CHECKING, Any

from django.db import connections

from . import wrapper as wrappers
from .again import Again

if TYPE_CHECKING:
    from .connections import Block

# What `getrefcount()` tells of an object that one container holds.
_box = [object()]
ALONE = getrefcount(_box[0])


def keep(box: list[Any]) -> None:
    """Leave the wrapper in `box` with its connection, which has been given back.

    Not if somebody else has one of the two, or has left a mark on it.
    """
    if (
        getrefcount(box[0]) == ALONE
        and getrefcount(vars(box[0])["connection"]) == ALONE
        and box[0].is_as_connected()
    ):
        found = box.pop()
        found.block = None
        found.connection.origin.parked = found, found.known_connect()
    else:
        box[0].connection = None


def wrapper(block: Block | None, alias: str) -> Any:
    """Return `connections[alias]`, on which a statement is about to be sent."""
    if block is None:
        return connections[alias]
    if _unseen(block, alias):
        known = type(block.wrappers[alias]).connects.get(alias)
        if known is not None and (entry := known.pool(block.loop, alias)) is not None:
            _connect(block, alias, known, entry)
    return block.wrapper(alias)


def _unseen(block: Block, alias: str) -> bool:
    """Tell whether nobody would notice another wrapper in the place of the block's."""
    found = block.wrappers
    return (
        alias in found
        and not wrappers.is_awake(found[alias])
        and getrefcount(found[alias]) == ALONE
        and not block.force_rollback
    )


def _connect(block: Block, alias: str, known: Again, entry: Any) -> None:
    try:
        origin = entry.checkout()
    except Exception:
        with connections[alias].wrap_database_errors:
            raise
    # While this one waited, others in the block may have looked at its wrapper.
    if origin.parked is None or not _unseen(block, alias):
        _connect_own(block, alias, entry, origin)
        return
    (parked, left_as), origin.parked = origin.parked, None
    if left_as is known and known.agrees(parked):
        block.wrappers[alias] = parked
        parked.join(block)
    else:
        _connect_own(block, alias, entry, origin)


def _connect_own(block: Block, alias: str, entry: Any, origin: Any) -> None:
    """Give `origin` to the block's own wrapper, if that has no connection meanwhile."""
    pool = block.wrapper(alias).pool
    pool.reserved = origin
    try:
        connections[alias].ensure_connection()
    finally:
        if pool.reserved is not None:
            pool.reserved = None
            entry.give_soon(origin)
