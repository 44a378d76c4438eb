"""A block for each asynchronous request, until its response has been sent.

Nothing is opened before the first query. A request is served in one bridged call, by
`handler.py`, or its response is awaited, in `awaited_requests.py`.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Any

from .. import bridge
from ..bridge import users_code
from ..connections import open_transactions
from ..connections.blocks import Block, entered_block, shared_block
from ..tasks import scopes
from ..transactions.atomic import roll_back_inside

logger = logging.getLogger("django_async_fast")

# The request that this context serves. Not where the block that the context has entered
# is a request's own, which tells as much: to set a variable takes its time.
served_request: ContextVar[RequestBlock | None] = ContextVar(
    "daf_request", default=None
)


def in_request() -> bool:
    """Tell whether the caller serves a request that has its block."""
    served = served_request.get()
    if served is not None and (served.joined or served.block.open):
        return True
    block = entered_block.get()
    return block is not None and block.name is not None and block.open


class RequestBlock:
    """The block of one request, or the one of a test that it joins."""

    __slots__ = ("around", "block", "joined", "name")

    def __init__(self, name: str, where: users_code.Place = None) -> None:
        self.name = name
        shared = shared_block()
        self.joined = shared is not None
        self.block = shared or Block(False, where, name=name)
        # The scope that the caller is in.
        self.around = scopes.entered_scope.get()

    def close(self) -> None:
        """Roll back what the request has left open, give its connections back."""
        if self.joined:
            self._leave_joined()
            return
        try:
            self.block.close()
        except Exception:
            # The response is made: what is wrong with a connection now is for the
            # log, and the connection has been dropped.
            logger.exception("Giving back the connections of %s failed.", self._who)

    def abandon(self) -> None:
        """End the request where nothing can be awaited."""
        if not self.joined:
            self.block.abandon()

    @property
    def _who(self) -> str:
        return users_code.in_one_line(self.name)

    def _leave_joined(self) -> None:
        try:
            for wrapper in self.block.built_wrappers():
                self._leave_atomics(wrapper)
                if not (wrapper.autocommit or wrapper.in_atomic_block):
                    open_transactions.restore_autocommit(wrapper, self._who)
        finally:
            scopes.entered_scope.set(self.around)

    def _leave_atomics(self, wrapper: Any) -> None:
        """Roll back what the request has begun in a block that it shares."""
        scope, outermost = scopes.entered_scope.get(), None
        while scope not in (None, self.around):
            if scope.open and scope.gate is wrapper.gate:
                outermost = scope
            scope = scope.entered_before
        if outermost is None:
            return
        try:
            roll_back_inside(wrapper, outermost.outer, self._who)
        except Exception:
            logger.exception("Rolling back what %s left open failed.", self._who)


class BridgedRequest(RequestBlock):
    """A request that is served in one bridged call, which enters its block and ends it.

    `with` does both, and again with a block that begins anew.
    """

    __slots__ = ("before", "outer")

    def __enter__(self) -> None:
        block = self.block
        if self.joined:
            self.outer = served_request.get()
            served_request.set(self)
        elif not block.open:
            block = self.block = block.opened()
        self.before = entered_block.get()
        entered_block.set(block)

    def __exit__(self, *exc: object) -> None:
        try:
            if not (self.joined or self.block.wrappers):
                self.block.open = False  # nobody has asked for a connection
            elif not bridge.can_wait():
                self.abandon()
            elif self.joined or not self.block.close_at_once():
                self.close()
        finally:
            entered_block.set(self.before)
            if self.joined:
                served_request.set(self.outer)
            if scopes.entered_scope.get() is not self.around:
                scopes.entered_scope.set(self.around)
