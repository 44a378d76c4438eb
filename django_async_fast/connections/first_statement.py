"""The connection of a block whose first statement is known before it needs a wrapper.

To make a wrapper and to connect it, as Django does, costs half of what a `get()` does
(`querysets/compiled/execution.py`). Once Django has connected to an alias, the block's
wrapper is given what Django would give it, and a connection of the pool. All of it is
the block's own: nobody can have kept anything that another block uses.

In: the block, or None, and an alias.
Out: the wrapper to send on, connected where that is known.
Next: `pool/fast_checkout.py`.
"""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created

from ..tasks.gates import Gate
from . import lazy_wrapper
from .block_protocol import Block
from .replayed_connect import ReplayedConnect


def wrapper(block: Block | None, alias: str) -> Any:
    """Return the wrapper for a statement that is about to be sent on `alias`.

    In a block it may be one that nobody has seen. Nothing may be waited for between
    this call and the statement, and `lazy_wrapper.visible()` is what tools are shown.
    """
    if block is None:
        return connections[alias]
    found = block.wrappers.get(alias) or block.wrapper(alias)
    if not lazy_wrapper.is_lazy(found):
        return found
    if (hidden := lazy_wrapper.hidden(found)) is not None:
        return hidden
    if block.open and not block.force_rollback:
        kind = type(found)
        # Perhaps that of another alias: `connections["a"] = connections["b"]`.
        replay = kind.replayed_connects.get(alias) if kind.for_alias == alias else None
        if replay is not None and replay.is_for(kind, connections.settings[alias]):
            return _connect(block, alias, found, replay)
    return found


def _is_free(block: Block, wrapper: Any) -> bool:
    """Tell whether `wrapper` may be given what one has that is connected."""
    return block.open and lazy_wrapper.is_lazy(wrapper) and not block.force_rollback


def _connect(block: Block, alias: str, wrapper: Any, replay: ReplayedConnect) -> Any:
    if (entry := replay.pool(block.loop, alias)) is None:
        return wrapper
    if (session := entry.take_at_once(entry.pool)) is not None:
        return _take(block, wrapper, replay, entry, session, None)
    # A second task that asks first must not wait for a second connection: the block
    # cannot end, and give back the one it has, before that task does.
    if (gate := lazy_wrapper.claim_gate(wrapper)) is None:
        return wrapper
    connecting = gate.enter(None, gate.root.place)
    try:
        session = _wait(entry, alias)
        return _take(block, wrapper, replay, entry, session, gate)
    finally:
        gate.end_brief(connecting)


def _wait(entry: Any, alias: str) -> Any:
    try:
        return entry.checkout()
    except Exception:
        with connections[alias].wrap_database_errors:
            raise


def _take(
    block: Block,
    wrapper: Any,
    replay: ReplayedConnect,
    entry: Any,
    session: Any,
    gate: Gate | None,
) -> Any:
    """Begin to use `session`, in Django's way where the short one is not known."""
    hidden = None
    # While this one waited, others in the block may have looked at its wrapper.
    if _is_free(block, wrapper):
        hidden = lazy_wrapper.connect(wrapper, replay, entry, session, gate)
    if hidden is None:
        _connect_own(wrapper, entry, session)
        return wrapper
    if connection_created.receivers:
        wrapper.send_connection_created()
        return wrapper
    return hidden


def _connect_own(wrapper: Any, entry: Any, session: Any) -> None:
    """Give `session` to the wrapper, if that has no connection meanwhile."""
    pool = wrapper.pool
    pool.reserved = session
    try:
        wrapper.ensure_connection()
    finally:
        if pool.reserved is not None:
            pool.reserved = None
            entry.give_soon(session)
