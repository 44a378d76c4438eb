"""The connection of a block whose first statement is known before it needs a wrapper.

To make a wrapper and to connect it, as Django does, costs half of what a `get()` does
(`querysets/compiled/execution.py`). Once Django has connected to an alias, the block's
wrapper is given what Django would give it, and a connection of the pool. All of it is
the block's own: nobody can have kept anything that another block uses.

In: the block, or None, and an alias.
Out: the wrapper to send on, connected where that is known.
Next: `pool/fast_checkout.py`.
"""

from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created

from .. import _native, bridge
from ..drivers import forks
from ..tasks.gates import Gate
from . import lazy_wrapper
from .blocks import Block, entered_block
from .replayed_connect import ReplayedConnect
from .routing import bridged_block


def _wrapper_for(alias: str) -> Any:
    block = bridged_block()
    return connections[alias] if block is None else ROUTES.of_block(block, alias)


def _wait(
    block: Block, alias: str, wrapper: Any, replay: ReplayedConnect, entry: Any
) -> Any:
    """Wait for a connection of the pool, and return the wrapper that has it."""
    # A second task that asks first must not wait for a second connection: the block
    # cannot end, and give back the one it has, before that task does.
    if (gate := lazy_wrapper.claim_gate(wrapper)) is None:
        return wrapper
    connecting = gate.enter(None, gate.root.place)
    try:
        session = _checkout(entry, alias)
        return _take(block, wrapper, replay, entry, session, gate)
    finally:
        gate.end_brief(connecting)


def _checkout(entry: Any, alias: str) -> Any:
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
    gate: Gate | None = None,
) -> Any:
    """Begin to use `session`, in Django's way where the short one is not known."""
    hidden = None
    # While this one waited, others in the block may have looked at its wrapper.
    if block.open and lazy_wrapper.is_lazy(wrapper) and not block.force_rollback:
        hidden = lazy_wrapper.HIDDEN.connect(wrapper, replay, entry, session, gate)
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


ROUTES: Any = _native.COMPILED and _native.rows.Routes(
    bridge.BRIDGE,
    lazy_wrapper.HIDDEN,
    entered_block=entered_block,
    wrapper_for=_wrapper_for,
    connections=connections,
    created=connection_created,
    forks=vars(forks),
    wait=_wait,
    take=_take,
)
