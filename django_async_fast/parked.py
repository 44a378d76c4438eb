"""A pooled connection with the wrapper and the view that it was last used with.

Most blocks leave both as Django and psycopg have made them, and nobody keeps them. A
block whose first statement is known before it needs a wrapper (`shapes.py`) takes all
three: to make and connect a wrapper costs half of what a `get()` does.
"""

from __future__ import annotations

from sys import getrefcount
from typing import TYPE_CHECKING, Any
from weakref import getweakrefcount

from django.db import connections

from . import asleep, idle
from .again import Again
from .scopes import Gate
from .stamps import ALONE

if TYPE_CHECKING:
    from .connections import Block


def keep(box: list[Any], hidden: Again | None) -> None:
    """Leave the wrapper in `box` with its connection, which has been given back.

    Not if somebody else has one of the two, or has left a mark on it. With a wrapper
    that was `hidden` nobody can: to look for that costs as much as to join a block.
    """
    if hidden is None and not _is_untouched(box):
        box[0].connection = None
        return
    found = box.pop()
    found.block = None
    found.connection.origin.parked = found, hidden or found.known_connect()


def _is_untouched(box: list[Any]) -> bool:
    return (
        getrefcount(box[0]) == ALONE
        and getweakrefcount(box[0]) == 0
        and getrefcount(vars(box[0])["connection"]) == ALONE
        and bool(box[0].is_as_connected())
    )


def wrapper(block: Block | None, alias: str) -> Any:
    """Return `connections[alias]`, on which a statement is about to be sent."""
    if block is None:
        return connections[alias]
    if _unseen(block, alias):
        kind = type(block.wrappers[alias])
        known = kind.connects.get(alias)
        if known is not None and known.agrees(kind, connections.settings[alias]):
            _connect(block, alias, known)
    return block.wrappers.get(alias) or block.wrapper(alias)


def _unseen(block: Block, alias: str) -> bool:
    """Tell whether nobody would notice another wrapper in the place of the block's."""
    found = block.wrappers
    return (
        block.open
        and alias in found
        and asleep.is_asleep(found[alias])
        and getrefcount(found[alias]) == ALONE
        and not block.force_rollback
    )


def _connect(block: Block, alias: str, known: Again) -> None:
    if (entry := known.pool(block.loop, alias)) is None:
        return
    if (origin := idle.take(entry.pool)) is not None:
        _take(block, alias, known, entry, origin, Gate(alias, block.place))
        return
    # A second task that asks first must not wait for a second connection: the block
    # cannot end, and give back the one it has, before that task does.
    if (gate := asleep.claim(block.wrappers[alias])) is None:
        return
    connecting = gate.enter(None, gate.root.place)
    try:
        origin = _wait(entry, alias)
        _take(block, alias, known, entry, origin, gate)
    finally:
        gate.end_exit(connecting)


def _wait(entry: Any, alias: str) -> Any:
    try:
        return entry.checkout()
    except Exception:
        with connections[alias].wrap_database_errors:
            raise


def _take(
    block: Block, alias: str, known: Again, entry: Any, origin: Any, gate: Gate
) -> None:
    """Begin to use `origin`, with what is parked there if that is as it should be."""
    parked: Any
    parked, left_as = origin.parked or (None, None)
    if (
        left_as is known
        and parked.settings_dict is connections.settings[alias]
        # While this one waited, others in the block may have looked at its wrapper.
        and _unseen(block, alias)
    ):
        origin.parked = None
        block.wrappers[alias] = parked
        block.hidden = known if len(block.wrappers) == 1 else None
        parked.join(block, gate)
    else:
        _connect_own(block, alias, entry, origin)


def _connect_own(block: Block, alias: str, entry: Any, origin: Any) -> None:
    """Give `origin` to the block's own wrapper, if that has no connection meanwhile."""
    pool = block.wrapper(alias).pool
    pool.reserved = origin
    try:
        block.wrapper(alias).ensure_connection()
    finally:
        if pool.reserved is not None:
            pool.reserved = None
            entry.give_soon(origin)
