"""Order the statements of the tasks that share one connection.

A connection has a stack of open scopes: the block, then each open `atomic()`.
A task knows its scope through a context variable, which its child tasks
inherit. A statement, or a nested `atomic()`, goes ahead only while its own
scope is the innermost open one and no other statement is in flight; until
then it waits in line.
"""

from __future__ import annotations

import sys
from asyncio import Future
from collections import deque
from contextvars import ContextVar
from types import FrameType

from django.db import InterfaceError
from django.db.transaction import TransactionManagementError

from . import bridge, conf

# The innermost scope that this context has entered, over all connections.
_entered: ContextVar[Scope | None] = ContextVar("daf_scope", default=None)

# Modules whose frames are not the place where a user entered a scope.
MACHINERY = (
    "asgiref.",
    "asyncio.",
    "contextlib",
    "django.",
    "django_async_fast.",
    "psycopg.",
)

Place = tuple[str, int] | None


class ScopeTimeout(TransactionManagementError):
    """A statement waited too long for another task's transaction."""


def place(depth: int = 0) -> Place:
    """Return file and line of the user's code that is running, or None.

    That many callers of the caller are known not to be the user's: each frame that is
    looked at has to be made.
    """
    return _outside(sys._getframe(depth + 1)) or _outside(bridge.awaiting_frame())


def _outside(frame: FrameType | None) -> Place:
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith(MACHINERY):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return None


def told(where: Place) -> str:
    """Return `where` for a message."""
    return f"{where[0]}:{where[1]}" if where else "an unknown place"


class Scope:
    """One level of a connection's stack: the block or an `atomic()`.

    A `brief` one ends, or becomes an open atomic block, without its task doing
    anything else meanwhile: the connection is opened, a transaction begun or
    ended in it.
    """

    __slots__ = ("around", "beneath", "brief", "gate", "open", "owner", "place")

    def __init__(
        self,
        gate: Gate | None,
        around: Scope | None,
        owner: object,
        where: Place,
        brief: bool = False,
    ) -> None:
        self.gate = gate
        self.brief = brief
        # The scope of the same connection that this one is nested in.
        self.around = around
        # What the entering context had entered before, whatever connection.
        self.beneath = _entered.get()
        self.owner = owner
        self.place = where
        self.open = True

    def entered(self) -> bool:
        """Tell whether the caller's context has entered this scope."""
        scope = _entered.get()
        while scope is not None and scope is not self:
            scope = scope.beneath
        return scope is self

    def depth(self) -> int:
        """Return the number of atomic blocks that this scope is in or is."""
        return 0 if self.around is None else 1 + self.around.depth()


class Turn:
    """A place in the line before a gate."""

    __slots__ = ("breaking", "future", "scope")

    def __init__(self, scope: Scope | None, future: Future[None], breaking: bool):
        self.scope = scope
        self.future = future
        # To break off what is inside of `scope`, whatever is innermost.
        self.breaking = breaking

    def has_come(self, gate: Gate) -> bool:
        """Tell whether the gate, with nothing in flight, is for this one to pass."""
        if self.future.done():
            return False
        if self.breaking:
            return not any(each.brief for each in gate.inside(self.scope))
        return self.scope is gate.innermost

    def is_over(self) -> bool:
        """Tell whether the scope that waits has been closed."""
        return not self.breaking and self.scope is not None and not self.scope.open


class Gate:
    """Lets one statement at a time through, and only from the innermost scope."""

    __slots__ = ("alias", "busy", "innermost", "root", "waiting")

    def __init__(self, alias: str, where: Place) -> None:
        self.alias = alias
        # Nobody enters it, so it need not know its gate; a cycle would keep a
        # closed connection's remains until the next collection.
        self.root = Scope(None, None, None, where)
        self.root.beneath = None
        self.innermost: Scope = self.root
        self.busy = False
        # First come, first served. A future is resolved with `busy` already
        # taken on behalf of its waiter, so nobody can slip in between.
        self.waiting: deque[Turn] = deque()

    def mine(self) -> Scope:
        """Return the scope of this connection that the caller runs in."""
        scope = _entered.get()
        while scope is not None and scope.gate is not self:
            scope = scope.beneath
        return self.root if scope is None else scope

    def acquire(self) -> None:
        """Wait until a statement may be sent, and take the connection for it."""
        scope = self.mine()
        if scope is self.innermost and not self.busy and scope.open:
            self.busy = True
        else:
            self._check(scope)
            self._wait(scope)

    def release(self) -> None:
        self.busy = False
        if self.waiting:
            self._hand_over()

    def is_quiet(self) -> bool:
        """Tell whether no scope is open, no statement in flight, and nobody waits."""
        return self.innermost is self.root and not self.busy and not self.waiting

    def end(self) -> None:
        """End the root scope of a gate that is quiet."""
        self.root.open = False
        entered = _entered.get()
        if entered is not None and not entered.open:
            _entered.set(self._still_entered(entered))

    def inside(self, around: Scope | None) -> list[Scope]:
        """Return the scopes inside of `around`, innermost first; None is outside."""
        found = []
        scope: Scope | None = self.innermost
        while scope is not None and scope is not around:
            found.append(scope)
            scope = scope.around
        return found

    def enter(self, owner: object, where: Place) -> Scope:
        """Open a brief scope inside the caller's, when its turn has come."""
        around = self.innermost
        if self.busy or not around.open or self.mine() is not around:
            self.acquire()
            self.busy = False
        scope = self._push(self.innermost, owner, where)
        if self.waiting:
            self._hand_over()
        return scope

    def entered(self, scope: Scope) -> None:
        """Note that the transaction of `scope` has begun."""
        scope.brief = False
        if self.waiting and not self.busy:
            self.release()

    def begin_exit(self, scope: Scope) -> Scope:
        """Close `scope` to its children; return the brief scope that ends it.

        Waits for a statement or a nested scope of a child in flight. Statements
        that end the transaction run in the returned scope, which nobody else
        is in: a child's late statement cannot land between them.
        """
        if scope is self.innermost and not self.busy:
            self.busy = True
        else:
            self._wait(scope)
        scope.open = False
        ending = self._push(scope.around, scope.owner, scope.place)
        ending.beneath = scope.beneath
        self._refuse_closed()
        self.release()
        return ending

    def break_off(self, around: Scope | None) -> tuple[Scope, list[Scope]]:
        """Close all inside of `around`; return a scope to end it in, and what is left.

        Waits for the statement in flight and for brief scopes, but for no open
        atomic block, whoever has begun it. The innermost comes first.
        """
        left, wait = self.inside(around), self.busy
        for each in left:
            each.open = each.brief
            wait = wait or each.brief
        self._refuse_closed()
        if wait:
            self._wait(around, breaking=True)
            left = self.inside(around)
            for each in left:
                each.open = False
            self._refuse_closed()
        self.busy = True
        ending = self._push(around, None, None)
        ending.beneath = self._still_entered(ending.beneath)
        self.release()
        return ending, left

    def end_exit(self, ending: Scope) -> None:
        """Leave the brief scope that one of the methods above returned."""
        if ending.open:  # else a scope around it has been cut
            ending.open = False
            self.innermost = ending.around or self.root
        if _entered.get() is ending:
            _entered.set(ending.beneath)
        if self.waiting and not self.busy:
            self._hand_over()

    def cut(self, scope: Scope) -> int:
        """Close `scope` and all inside it at once; return how many stay open."""
        for each in self.inside(scope.around):
            each.open = False
        assert scope.around is not None
        self.innermost = scope.around
        if _entered.get() is scope:
            _entered.set(scope.beneath)
        self._refuse_closed()
        if not self.busy:
            self.release()
        return scope.around.depth()

    def close(self) -> None:
        """End the root scope: nothing goes through any more."""
        for each in self.inside(None):
            each.open = False
        self.innermost = self.root
        _entered.set(self._still_entered(_entered.get()))
        self._refuse_closed()

    def _push(self, around: Scope | None, owner: object, where: Place) -> Scope:
        scope = Scope(self, around, owner, where, brief=True)
        self.innermost = scope
        _entered.set(scope)
        return scope

    def _still_entered(self, scope: Scope | None) -> Scope | None:
        """Return what the context has entered before closed scopes of this gate."""
        while scope is not None and scope.gate is self and not scope.open:
            scope = scope.beneath
        return scope

    def _wait(self, scope: Scope | None, breaking: bool = False) -> None:
        loop = bridge.current_loop()
        if loop is None or not bridge.in_bridge():
            raise bridge.BridgeError(
                f"The connection '{self.alias}' is busy with another task's statement, "
                "and this code does not run on the bridge, so it cannot wait. Call it "
                "as `await run_sync(function, ...)`."
            )
        here = place()  # afterwards, the frames that await this code are gone
        turn = Turn(scope, loop.create_future(), breaking)
        self.waiting.append(turn)
        timeout = conf.get("SCOPE_TIMEOUT")
        timer = timeout and loop.call_later(timeout, self._expire, turn, timeout)
        try:
            bridge.await_(turn.future)
        except BaseException as exc:
            self._give_up(turn)
            if isinstance(exc, ScopeTimeout):
                raise ScopeTimeout(f"{exc} This statement: {told(here)}.") from None
            raise
        finally:
            if timer:
                timer.cancel()

    def _check(self, scope: Scope) -> None:
        if scope.open:
            return
        raise self._refusal(scope)

    def _refusal(self, scope: Scope) -> Exception:
        what, kind = "new_connection() block", InterfaceError
        if scope.around is not None and self.root.open:
            what, kind = "atomic block", TransactionManagementError
        return kind(
            f"The {what} on '{self.alias}' that this task was started in (entered at "
            f"{told(scope.place)}) has ended. Await the task inside the block, or open "
            "a block of its own in it: `async with new_connection():`."
        )

    def _give_up(self, turn: Turn) -> None:
        if turn in self.waiting:
            self.waiting.remove(turn)
        elif not turn.future.cancelled() and turn.future.exception() is None:
            # Cancelled after the connection had been handed over.
            self.release()

    def _hand_over(self) -> None:
        for turn in self.waiting:
            if turn.has_come(self):
                self.waiting.remove(turn)
                self.busy = True
                turn.future.set_result(None)
                return

    def _refuse_closed(self) -> None:
        if not self.waiting:
            return
        for turn in [turn for turn in self.waiting if turn.is_over()]:
            self.waiting.remove(turn)
            if not turn.future.done():
                assert turn.scope is not None
                turn.future.set_exception(self._refusal(turn.scope))

    def _expire(self, turn: Turn, timeout: float) -> None:
        if turn.future.done():
            return
        holder = self.innermost
        what = "atomic block" if holder.around else "statement in the block"
        self.waiting.remove(turn)
        turn.future.set_exception(
            ScopeTimeout(
                f"Waited {timeout:g} s for the connection '{self.alias}', held by the "
                f"{what} entered at {told(holder.place)}. Tasks on one connection take "
                "turns; open a `new_connection()` block in each for parallel work."
            )
        )
