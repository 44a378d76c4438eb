"""Order the statements of the tasks that share one connection.

A connection has a stack of open scopes: the block, then each open `atomic()`.
A task knows its scope through a context variable, which its child tasks
inherit. A statement, or a nested `atomic()`, goes ahead only while its own
scope is the innermost open one and no other statement is in flight; until
then it waits in line.

Within a scope bridged calls take turns, each from its first statement on the
connection to its end: see tasks/units.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from time import monotonic
from typing import Any

from django.db import InterfaceError
from django.db.transaction import TransactionManagementError

from .. import bridge
from ..bridge import Call, Worker, getcurrent, outer_call
from ..bridge.users_code import Place, place, place_of, told
from .units import Line, Turn, Units

# The innermost scope that this context has entered, over all connections.
_entered: ContextVar[Scope | None] = ContextVar("daf_scope", default=None)


class ScopeTimeout(TransactionManagementError):
    """A statement waited too long for another task's transaction, or its unit."""


class ScopeDeadlock(TransactionManagementError):
    """A statement would wait for a unit that waits for the statement's task."""


class Scope:
    """One level of a connection's stack: the block or an `atomic()`.

    A `brief` one ends, or becomes an open atomic block, without its task doing
    anything else meanwhile: the connection is opened, a transaction begun or
    ended in it.
    """

    __slots__ = (
        *("around", "beneath", "brief", "gate", "open", "opener", "owner", "place"),
    )

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
        # The greenlet that has opened it. Not itself: nothing else would end it.
        self.opener = id(getcurrent())

    def entered(self) -> bool:
        """Tell whether the caller's context has entered this scope."""
        return _is_in(self, _entered.get())

    def depth(self) -> int:
        """Return the number of atomic blocks that this scope is in or is."""
        return 0 if self.around is None else 1 + self.around.depth()


def _is_in(scope: Scope, entered: Scope | None) -> bool:
    while entered is not None and entered is not scope:
        entered = entered.beneath
    return entered is scope


class GateTurn(Turn):
    """A place in the line before a gate."""

    __slots__ = ("breaking", "place", "scope")

    def __init__(
        self,
        call: Call,
        gate: Gate,
        loop: Any,
        scope: Scope | None,
        breaking: bool,
    ) -> None:
        super().__init__(call, gate, loop)
        self.scope = scope
        # To break off what is inside of `scope`, whatever is innermost.
        self.breaking = breaking
        self.place = place(1)  # afterwards, the frames that await this code are gone

    def has_come(self, gate: Gate) -> bool:
        """Tell whether the gate, with nothing in flight, is for this one to pass."""
        if self.future.done():
            return False
        if self.breaking:
            return not any(each.brief for each in gate.inside(self.scope))
        return self.scope is gate.innermost and gate.is_for(self.call)

    def is_over(self) -> bool:
        """Tell whether the scope that waits has been closed."""
        return not self.breaking and self.scope is not None and not self.scope.open


class Gate(Line):
    """Lets one statement at a time through, and only from the innermost scope."""

    def __init__(self, alias: str, where: Place, units: Units | None = None) -> None:
        # A future is resolved with `busy` already taken on behalf of its waiter, so
        # nobody can slip in between.
        self.alias = alias
        # Nobody enters it, so it need not know its gate; a cycle would keep a
        # closed connection's remains until the next collection.
        self.root = Scope(None, None, None, where)
        self.root.beneath = None
        self.innermost: Scope = self.root
        self.busy = False
        # Those of its block.
        self.units = Units() if units is None else units

    def mine(self) -> Scope:
        """Return the scope of this connection that the caller runs in."""
        scope = _entered.get()
        while scope is not None and scope.gate is not self:
            scope = scope.beneath
        if not bridge.in_given_context():
            return self._of_call()
        return self.root if scope is None else scope

    def _of_call(self) -> Scope:
        """Return the innermost scope of a call that has entered another context.

        There it may see less than it has entered, or nothing: `Context().run()`.
        """
        call, given = bridge.current_call(), bridge.of_call(_entered)
        has_turn = self.units.holder(self) is call
        for scope in self.inside(None):
            # Since it has the turn only it, and what is part of it, opens scopes.
            own = has_turn and scope.opener == id(getcurrent())
            if own or scope.entered() or _is_in(scope, given):
                return scope
        return self.root

    def acquire(self) -> None:
        """Wait until a statement may be sent, and take the connection for it."""
        scope = self.innermost
        # In a context of its own, it may have entered more than is seen there.
        if scope is not self.root or _entered.get() is not None:
            scope = self.mine()
        if not self.busy and scope is self.innermost and scope.open:
            worker, units = getcurrent(), self.units
            if units.calls:
                free = worker is units.calls[-1] and worker.holds is self
            else:
                free = (
                    type(worker) is Worker
                    and worker.call is None
                    and outer_call.get() is None
                )
                if free:  # the first statement of most calls
                    units.calls = [worker]
                    worker.holds = self
            if free or self._take():
                self.busy = True
                return
        self._check(scope)
        self._wait(scope)

    def release(self) -> None:
        """The statement is over."""
        self.busy = False
        if self.waiting or self.units.waiting:
            self.progress = self.units.progress = monotonic()
            self._hand_over()

    def is_for(self, call: Call | None) -> bool:
        """Tell whether no unit has the turn but `call`, or what it is part of."""
        holder = self.units.holder(self)
        return holder is None or (call is not None and call.is_inside(holder))

    def _take(self) -> bool:
        """Give the caller's call the turn until its end; False if it is another's."""
        call = bridge.current_call()
        if not self.is_for(call):
            return False
        if call is not None:
            self.units.take(call, self)
        return True

    def make_known(self, worker: Worker, call: Call) -> None:
        """`worker`, which is the only unit, serves `call`."""
        calls = self.units.calls
        calls[calls.index(worker)] = call
        call.held.append(self)

    def let_go(self, unit: Call | Worker) -> None:
        """A unit is over."""
        calls = self.units.calls
        if unit in calls:
            calls.remove(unit)
        if self.waiting:
            self.progress = monotonic()
            if not self.busy:
                self._hand_over()
        if self.units.waiting:
            self.units.start_next()

    def is_quiet(self) -> bool:
        """Tell whether no scope is open, no unit under way, and nobody waits."""
        return (
            self.innermost is self.root
            and not self.busy
            and not self.units.calls
            and not self.waiting
        )

    def reopen(self, where: Place, units: Units) -> None:
        """Serve another block; the one before has ended, and left nothing in it."""
        self.root.open = True
        self.root.place = where
        self.units = units

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
        free = scope is self.innermost and not self.busy
        if free and self._take():
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
        atomic block and no unit, whoever has begun it. The innermost comes first.
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
        self.units.revoke(self, but=bridge.current_call())
        self._take()
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
        self.units.start_all()

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
        call = bridge.current_call()
        assert call is not None
        turn = GateTurn(call, self, loop, scope, breaking)
        if turn.is_deadlocked():
            raise self._deadlock(turn)
        self.join(turn, loop)
        call.waits_with = turn
        self.units.start_next()
        try:
            bridge.await_(turn.future)
        except BaseException:
            self._give_up(turn)
            raise
        finally:
            call.waits_with = None

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

    def _give_up(self, turn: GateTurn) -> None:
        if turn in self.waiting:
            self.leave(turn)
        elif not turn.future.cancelled() and turn.future.exception() is None:
            # Cancelled after the connection had been handed over.
            self.release()

    def _hand_over(self) -> None:
        for turn in self.waiting:
            if turn.has_come(self):
                self.leave(turn)
                self.progress = monotonic()
                self.busy = True
                if not turn.breaking:
                    self.units.take(turn.call, self)
                turn.call.waits_with = None
                turn.future.set_result(None)
                return

    def _refuse_closed(self) -> None:
        if not self.waiting:
            return
        for turn in [turn for turn in self.waiting if turn.is_over()]:
            self.leave(turn)
            if not turn.future.done():
                assert turn.scope is not None
                turn.future.set_exception(self._refusal(turn.scope))

    # ----- in vain

    def holders(self) -> Iterable[Call]:
        return [call for call in self.units.known() if self in call.held]

    def deadlocked(self, turn: GateTurn) -> None:
        self._refuse(turn, self._deadlock(turn))

    def overdue(self, turn: GateTurn, timeout: float) -> None:
        held_by = self._held_by(turn)
        self._refuse(
            turn,
            ScopeTimeout(
                f"Waited {timeout:g} s for the connection '{self.alias}', held by the "
                f"{held_by}. Tasks on one connection take turns; open a "
                "`new_connection()` block in each for parallel work. This statement: "
                f"{told(turn.place)}."
            ),
        )

    def _refuse(self, turn: GateTurn, error: Exception) -> None:
        self.leave(turn)
        turn.future.set_exception(error)

    def _deadlock(self, turn: GateTurn) -> ScopeDeadlock:
        return ScopeDeadlock(
            f"The connection '{self.alias}' is held by the {self._held_by(turn)}, "
            "which waits for the task of this statement: it would wait for itself. "
            "Await the task before, or open a `new_connection()` block in it. This "
            f"statement: {told(turn.place)}."
        )

    def _held_by(self, turn: GateTurn) -> str:
        holder = self.innermost
        if turn.scope is holder or holder.around is None:
            for call in turn.waits_for():
                found = map(place_of, call.frames())
                if where := next(filter(None, found), None):
                    return f"synchronous function that is at {told(where)}"
        what = "atomic block" if holder.around else "statement in the block"
        return f"{what} entered at {told(holder.place)}"
