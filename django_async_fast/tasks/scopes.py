"""What of a connection a task has entered: its block, then each open `atomic()`.

A task knows its scope through a context variable, which its child tasks inherit.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from ..bridge import getcurrent
from ..bridge.users_code import Place

if TYPE_CHECKING:
    from .gates import Gate

# The innermost scope that this context has entered, over all connections.
entered_scope: ContextVar[Scope | None] = ContextVar("daf_scope", default=None)


class Scope:
    """One level of a connection's stack: the block or an `atomic()`.

    A `brief` one ends, or becomes an open atomic block, without its task doing
    anything else meanwhile: the connection is opened, a transaction begun or
    ended in it.
    """

    __slots__ = (
        *("brief", "entered_before", "gate", "open", "opener", "outer", "owner"),
        "place",
    )

    def __init__(
        self,
        gate: Gate | None,
        outer: Scope | None,
        owner: object,
        where: Place,
        brief: bool = False,
    ) -> None:
        self.gate = gate
        self.brief = brief
        # The scope of the same connection that this one is nested in.
        self.outer = outer
        # What the entering context had entered before, whatever connection.
        self.entered_before = entered_scope.get()
        self.owner = owner
        self.place = where
        self.open = True
        # The greenlet that has opened it. Not itself: nothing else would end it.
        self.opener = id(getcurrent())

    def is_entered(self) -> bool:
        """Tell whether the caller's context has entered this scope."""
        return is_in(self, entered_scope.get())

    def depth(self) -> int:
        """Return the number of atomic blocks that this scope is in or is."""
        return 0 if self.outer is None else 1 + self.outer.depth()


def is_in(scope: Scope, entered: Scope | None) -> bool:
    """Tell whether whoever has entered `entered` is in `scope`."""
    while entered is not None and entered is not scope:
        entered = entered.entered_before
    return entered is scope
