"""A block's connection, opened by what stands in the place of psycopg's `connect()`.

Tools replace `psycopg.connect` and `Connection.connect`, to trace the cursors or to
give a password that is fresh. Those are synchronous: they are called on the bridge, and
psycopg's own inside of them, down to where it would wait for the server. There a
connection of ours is opened, which is awaited.
"""

from collections.abc import Callable, Generator
from contextvars import ContextVar
from typing import Any

import psycopg

from ... import bridge
from ...tasks.gates import Gate
from ...unpatched import is_own_method
from .connection import connect, view
from .session import Session

# The gate of the connection that this context is opening.
_opening: ContextVar[Gate | None] = ContextVar("daf_opening", default=None)


@classmethod  # type: ignore[misc]
def connect_gen(cls: Any, conninfo: str = "") -> Generator[Any, Any, Any]:
    """`Connection._connect_gen`: in a block, a view of an asynchronous connection."""
    gate = _opening.get()
    if gate is None or not bridge.in_bridge():
        generator: Generator[Any, Any, Any]
        generator = super(psycopg.Connection, cls)._connect_gen(conninfo)
        return generator
    return _opened(cls, gate, conninfo)


def _opened(kind: Any, gate: Gate, conninfo: str) -> Generator[Any, Any, Any]:
    yield from ()  # psycopg waits for nothing
    session = bridge.await_(Session.connect(conninfo))
    session._pool = None  # see connect()
    session.kind = kind
    return view(session, gate)


def _open(gate: Gate, hooked: Callable[..., Any], *args: Any, **params: Any) -> Any:
    """Return what the replaced `connect()` returns."""
    before = _opening.get()
    _opening.set(gate)
    try:
        return hooked(*args, **params)
    finally:
        _opening.set(before)


def connect_by(database: Any, gate: Gate, params: dict[str, Any]) -> Any:
    """Return a block's connection; `database` is psycopg as Django calls it."""
    if is_own_method(database.connect, psycopg.Connection, "connect"):
        return connect(gate, **params)
    return _open(gate, database.connect, **params)


class PoolConnectionClass:
    """Stands in for the `connection_class` of a pool, whose `connect()` it asks."""

    def __init__(self, kind: type[psycopg.Connection[Any]], alias: str) -> None:
        self._kind = kind
        self._alias = alias

    async def connect(self, conninfo: str = "", **params: Any) -> Session:
        """Connect, as an asynchronous pool asks for it."""
        if is_own_method(self._kind.connect, psycopg.Connection, "connect"):
            # Cursors are the views'.
            params.pop("cursor_factory", None)
            return await Session.connect(conninfo, **params)
        return await bridge.run(self._open, conninfo, params)

    def _open(self, conninfo: str, params: dict[str, Any]) -> Session:
        # A gate for each connection: one that hangs holds up no other.
        gate = Gate(self._alias, None)
        connection = _open(gate, self._kind.connect, conninfo, **params)
        session: Session = connection.session
        # What has been chosen for this one is meant for the session.
        session._adapters = connection._adapters
        session._autocommit = connection._autocommit
        session.cursor_class = connection.cursor_factory
        connection.detach()
        connection._pool = None  # its `__del__` would warn
        return session
