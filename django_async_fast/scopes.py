"""Order the statements of the tasks that share one connection.

A connection has a stack of open scopes: the block, then each open `atomic()`.
A task knows its scope through a context variable, which its child tasks
inherit. A statement, or a nested `atomic()`, goes ahead only while its own
scope is the innermost open one and no other statement is in flight; until
then it waits in line.
"""

from __future__ import annotations

import inspect
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

_ASYNC = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR

Place = tuple[str, int] | None


class ScopeTimeout(TransactionManagementError):
    """A statement waited too long for another task's transaction."""


def place() -> Place:
    """Return file and line of the user's code that is running, or None."""
    return _outside(sys._getframe(1)) or _outside(bridge.awaiting_frame())


def _outside(frame: FrameType | None) -> Place:
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith(MACHINERY):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return None


def being_closed(exc_type: type[BaseException] | None) -> bool:
    """Tell whether the calling `__aexit__` runs because its coroutine is closed.

    Then nothing can be awaited. An asynchronous generator that is closed raises
    GeneratorExit too, but `aclose()` is awaited.
    """
    if exc_type is not GeneratorExit:
        return False
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_flags & _ASYNC:
        if frame.f_code.co_flags & inspect.CO_ASYNC_GENERATOR:
            return False
        frame = frame.f_back
    return True


def told(where: Place) -> str:
    """Return `where` for a message."""
    return f"{where[0]}:{where[1]}" if where else "an unknown place"


class Scope:
    """One level of a connection's stack: the block or an `atomic()`."""

    __slots__ = ("around", "beneath", "gate", "open", "owner", "place")

    def __init__(
        self, gate: Gate | None, around: Scope | None, owner: object, where: Place
    ) -> None:
        self.gate = gate
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
        self.waiting: deque[tuple[Scope, Future[None]]] = deque()

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
            self._wait(scope)

    def release(self) -> None:
        self.busy = False
        if self.waiting:
            self._hand_over()

    def enter(self, owner: object, where: Place) -> Scope:
        """Open a scope inside the caller's, when its turn has come."""
        self.acquire()
        scope = Scope(self, self.innermost, owner, where)
        self.innermost = scope
        _entered.set(scope)
        self.release()
        return scope

    def begin_exit(self, scope: Scope) -> Scope:
        """Close `scope` to its children; return the scope that ends it.

        Waits for a statement or a nested scope of a child in flight. Statements
        that end the transaction run in the returned scope, which nobody else
        is in: a child's late statement cannot land between them.
        """
        self._take(scope)
        scope.open = False
        ending = Scope(self, scope.around, scope.owner, scope.place)
        ending.beneath = scope.beneath
        self.innermost = ending
        _entered.set(ending)
        self._refuse_closed()
        self.release()
        return ending

    def end_exit(self, ending: Scope) -> None:
        """Leave the scope that `begin_exit` returned."""
        assert ending.around is not None
        if ending.open:  # else a scope around it has been cut
            ending.open = False
            self.innermost = ending.around
        if _entered.get() is ending:
            _entered.set(ending.beneath)
        if not self.busy:
            self.release()

    def cut(self, scope: Scope) -> int:
        """Close `scope` and all inside it at once; return how many stay open."""
        inner: Scope | None = self.innermost
        while inner is not None and inner is not scope.around:
            inner.open = False
            inner = inner.around
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
        if _entered.get() is self.innermost:
            _entered.set(self.innermost.beneath)
        scope: Scope | None = self.innermost
        while scope is not None:
            scope.open = False
            scope = scope.around
        self._refuse_closed()

    def _take(self, scope: Scope) -> None:
        if scope is self.innermost and not self.busy:
            self.busy = True
        else:
            self._wait(scope)

    def _wait(self, scope: Scope) -> None:
        self._check(scope)
        loop = bridge.current_loop()
        if loop is None or not bridge.in_bridge():
            raise bridge.BridgeError(
                f"The connection '{self.alias}' is busy with another task's statement, "
                "and this code does not run on the bridge, so it cannot wait. Call it "
                "as `await run_sync(function, ...)`."
            )
        here = place()  # afterwards, the frames that await this code are gone
        waiter = (scope, loop.create_future())
        self.waiting.append(waiter)
        timeout = conf.get("SCOPE_TIMEOUT")
        timer = timeout and loop.call_later(timeout, self._expire, waiter, timeout)
        try:
            bridge.await_(waiter[1])
        except BaseException as exc:
            self._give_up(waiter)
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

    def _give_up(self, waiter: tuple[Scope, Future[None]]) -> None:
        future = waiter[1]
        if waiter in self.waiting:
            self.waiting.remove(waiter)
        elif not future.cancelled() and future.exception() is None:
            # Cancelled after the connection had been handed over.
            self.release()

    def _hand_over(self) -> None:
        for waiter in self.waiting:
            scope, future = waiter
            if scope is self.innermost and not future.done():
                self.waiting.remove(waiter)
                self.busy = True
                future.set_result(None)
                return

    def _refuse_closed(self) -> None:
        for waiter in [w for w in self.waiting if not w[0].open]:
            self.waiting.remove(waiter)
            if not waiter[1].done():
                waiter[1].set_exception(self._refusal(waiter[0]))

    def _expire(self, waiter: tuple[Scope, Future[None]], timeout: float) -> None:
        if waiter[1].done():
            return
        holder = self.innermost
        what = "atomic block" if holder.around else "statement in the block"
        self.waiting.remove(waiter)
        waiter[1].set_exception(
            ScopeTimeout(
                f"Waited {timeout:g} s for the connection '{self.alias}', held by the "
                f"{what} entered at {told(holder.place)}. Tasks on one connection take "
                "turns; open a `new_connection()` block in each for parallel work."
            )
        )
