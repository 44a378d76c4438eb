"""What a statement is told that is not let through by the gate of its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import InterfaceError
from django.db.transaction import TransactionManagementError

from ..bridge import frames_of
from ..bridge.users_code import describe, place_of
from .scopes import Scope

if TYPE_CHECKING:
    from .gates import Gate, GateWaiter


class ScopeTimeout(TransactionManagementError):
    """A statement waited too long for another task's transaction, or its unit."""


class ScopeDeadlock(TransactionManagementError):
    """A statement would wait for a unit that waits for the statement's task."""


def scope_has_ended(gate: Gate, scope: Scope) -> Exception:
    """Return the error of a statement whose scope has been closed."""
    what, kind = "new_connection() block", InterfaceError
    if scope.outer is not None and gate.root.open:
        what, kind = "atomic block", TransactionManagementError
    return kind(
        f"The {what} on '{gate.alias}' that this task was started in (entered at "
        f"{describe(scope.place)}) has ended. Await the task inside the block, or "
        "open a block of its own in it: `async with new_connection():`."
    )


def copy_under_way(gate: Gate) -> Exception:
    """Return the error of a statement of the task that reads or writes a COPY."""
    return InterfaceError(
        f"A COPY is under way on the connection '{gate.alias}', which can do "
        "nothing else before that ends. Fetch what the rows need before, or "
        "use another `new_connection()` block."
    )


def timed_out(gate: Gate, waiter: Any, timeout: float) -> ScopeTimeout:
    """Return the error of a statement that has waited for `timeout` seconds."""
    return ScopeTimeout(
        f"Waited {timeout:g} s for the connection '{gate.alias}', held by the "
        f"{_holder(gate, waiter)}. Tasks on one connection take turns; open a "
        "`new_connection()` block in each for parallel work. This statement: "
        f"{describe(waiter.place)}."
    )


def deadlocked(gate: Gate, waiter: GateWaiter) -> ScopeDeadlock:
    """Return the error of a statement that its own task's holder waits for."""
    return ScopeDeadlock(
        f"The connection '{gate.alias}' is held by the {_holder(gate, waiter)}, "
        "which waits for the task of this statement: it would wait for itself. "
        "Await the task before, or open a `new_connection()` block in it. This "
        f"statement: {describe(waiter.place)}."
    )


def _holder(gate: Gate, waiter: Any) -> str:
    scope = gate.innermost
    if scope.outer is None or waiter.scope is scope:
        for call in waiter.waits_for():
            found = map(place_of, frames_of(call))
            if where := next(filter(None, found), None):
                return f"synchronous function that is at {describe(where)}"
    what = "atomic block" if scope.outer else "statement in the block"
    return f"{what} entered at {describe(scope.place)}"
