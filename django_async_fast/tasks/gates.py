"""Order the statements of the tasks that share one connection.

A connection has a stack of open scopes. A statement, or a nested `atomic()`, goes ahead
only while its own scope is the innermost open one and no other statement is in flight;
until then it waits.

Within a scope a bridged call holds the gate from its first statement on the connection
to its end: see tasks/units.py.
"""

from __future__ import annotations

from asyncio import Task
from collections.abc import Iterable
from time import monotonic
from typing import Any

from .. import _native, bridge
from ..bridge import Call, Worker, getcurrent, outer_call
from ..bridge.users_code import Place, place
from . import gate_errors
from .scopes import Scope, entered_scope, is_in
from .units import Units, Waiter, WaiterQueue

# Takes a gate for a call that is its block's only unit, which a worker stands for.
TURNS: Any = _native.COMPILED and _native.rows.Turns(
    bridge.BRIDGE, entered_scope=entered_scope, outer_call=outer_call
)


class GateWaiter(Waiter):
    """A statement that waits for a gate."""

    __slots__ = ("breaking", "place", "scope")

    def __init__(
        self, call: Call, gate: Gate, loop: Any, scope: Scope | None, breaking: bool
    ) -> None:
        super().__init__(call, gate, loop)
        self.scope = scope
        # To break off what is inside of `scope`, whatever is innermost.
        self.breaking = breaking
        self.place = place(1)  # afterwards, the frames that await this code are gone

    def may_pass(self, gate: Gate) -> bool:
        """Tell whether the statement may be sent now, with none in flight."""
        if self.future.done():
            return False
        if self.breaking:
            return not any(each.brief for each in gate.inside(self.scope))
        return self.scope is gate.innermost and gate.is_free_for(self.call)

    def scope_has_closed(self) -> bool:
        """Tell whether the scope that waits has been closed."""
        return not self.breaking and self.scope is not None and not self.scope.open


class Gate(WaiterQueue):
    """Lets one statement at a time through, and only from the innermost scope."""

    # The task that keeps it busy, perhaps from one call to the next, by a COPY.
    copier: Task[Any] | None = None
    # The reads that are sent together, see drivers/psycopg/read_pipelines.py.
    pipeline: Any = None

    def __init__(self, alias: str, where: Place, units: Units | None = None) -> None:
        # A future is resolved with `busy` already taken on behalf of its waiter, so
        # nobody can slip in between.
        self.alias = alias
        # Nobody enters it, so it need not know its gate; a cycle would keep a
        # closed connection's remains until the next collection.
        self.root = Scope(None, None, None, where)
        self.root.entered_before = None
        self.innermost: Scope = self.root
        self.busy = False
        # Those of its block.
        self.units = Units() if units is None else units

    def caller_scope(self) -> Scope:
        """Return the scope of this connection that the caller runs in."""
        scope = entered_scope.get()
        while scope is not None and scope.gate is not self:
            scope = scope.entered_before
        if not bridge.in_call_context():
            return self._caller_scope_in_call()
        return self.root if scope is None else scope

    def _caller_scope_in_call(self) -> Scope:
        """Return the innermost scope of a call that has entered another context.

        There it may see less than it has entered, or nothing: `Context().run()`.
        """
        call, given = bridge.current_call(), bridge.get_in_call_context(entered_scope)
        holds_gate = self.units.holder(self) is call
        for scope in self.inside(None):
            # While it holds the gate only it, and what is part of it, opens scopes.
            own = holds_gate and scope.opener == id(getcurrent())
            if own or scope.is_entered() or is_in(scope, given):
                return scope
        return self.root

    def acquire(self) -> None:
        """Wait until a statement may be sent, and take the connection for it."""
        if TURNS and TURNS.take(self):
            return
        scope = self.caller_scope()
        free = not self.busy and scope is self.innermost and scope.open
        if free and self._hold():
            self.busy = True
            return
        if not scope.open:
            raise gate_errors.scope_has_ended(self, scope)
        self._wait(scope)

    def release(self) -> None:
        """Let the next statement through."""
        self.busy = False
        if self.waiting or self.units.waiting:
            self.progress = self.units.progress = monotonic()
            self._hand_over()

    def is_free_for(self, call: Call | None) -> bool:
        """Tell whether no unit holds the gate but `call`, or what it is part of."""
        holder = self.units.holder(self)
        return holder is None or (call is not None and call.is_inside(holder))

    def _hold(self) -> bool:
        """Let the caller's call hold the gate until its end; False if another does."""
        call = bridge.current_call()
        if not self.is_free_for(call):
            return False
        if call is not None:
            self.units.take(call, self)
        return True

    def replace_worker(self, worker: Worker, call: Call) -> None:
        """Have `call` in the place of `worker`, the only unit, which serves it."""
        calls = self.units.calls
        calls[calls.index(worker)] = call
        call.held_gates.append(self)

    def call_ended(self, unit: Call | Worker) -> None:
        """Take the gate from a unit that is over."""
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

    def end(self) -> None:
        """End the root scope of a gate that is quiet."""
        self.root.open = False
        entered = entered_scope.get()
        if entered is not None and not entered.open:
            entered_scope.set(self._still_entered(entered))

    def inside(self, outer: Scope | None) -> list[Scope]:
        """Return the scopes inside of `outer`, innermost first; None is outside."""
        found = []
        scope: Scope | None = self.innermost
        while scope is not None and scope is not outer:
            found.append(scope)
            scope = scope.outer
        return found

    def enter(self, owner: object, where: Place) -> Scope:
        """Wait for the gate, and open a brief scope inside the caller's."""
        self.acquire()
        self.busy = False
        scope = self._push(self.innermost, owner, where)
        if self.waiting:
            self._hand_over()
        return scope

    def transaction_begun(self, scope: Scope) -> None:
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
        if free and self._hold():
            self.busy = True
        else:
            self._wait(scope)
        scope.open = False
        ending = self._push(scope.outer, scope.owner, scope.place)
        ending.entered_before = scope.entered_before
        self._refuse_closed()
        self.release()
        return ending

    def break_off(self, outer: Scope | None) -> tuple[Scope, list[Scope]]:
        """Close all inside of `outer`; return a scope to end it in, and what is left.

        Waits for the statement in flight and for brief scopes, but for no open
        atomic block and no unit, whoever has begun it. The innermost comes first.
        """
        left, wait = self.inside(outer), self.busy
        for each in left:
            each.open = each.brief
            wait = wait or each.brief
        self._refuse_closed()
        if wait:
            self._wait(outer, breaking=True)
            left = self.inside(outer)
            for each in left:
                each.open = False
            self._refuse_closed()
        self.units.revoke(self, but=bridge.current_call())
        self._hold()
        self.busy = True
        ending = self._push(outer, None, None)
        ending.entered_before = self._still_entered(ending.entered_before)
        self.release()
        return ending, left

    def end_brief(self, ending: Scope) -> None:
        """Leave the brief scope that one of the methods above returned."""
        if ending.open:  # else a scope around it has been closed
            ending.open = False
            self.innermost = ending.outer or self.root
        if entered_scope.get() is ending:
            entered_scope.set(ending.entered_before)
        if self.waiting and not self.busy:
            self._hand_over()

    def close_scope(self, scope: Scope) -> int:
        """Close `scope` and all inside it at once; return how many stay open."""
        for each in self.inside(scope.outer):
            each.open = False
        assert scope.outer is not None
        self.innermost = scope.outer
        if entered_scope.get() is scope:
            entered_scope.set(scope.entered_before)
        self._refuse_closed()
        if not self.busy:
            self.release()
        return scope.outer.depth()

    def close(self) -> None:
        """End the root scope: nothing goes through any more."""
        for each in self.inside(None):
            each.open = False
        self.innermost = self.root
        entered_scope.set(self._still_entered(entered_scope.get()))
        self._refuse_closed()
        self.units.start_all()

    def _push(self, outer: Scope | None, owner: object, where: Place) -> Scope:
        scope = Scope(self, outer, owner, where, brief=True)
        self.innermost = scope
        entered_scope.set(scope)
        return scope

    def _still_entered(self, scope: Scope | None) -> Scope | None:
        """Return what the context has entered before closed scopes of this gate."""
        while scope is not None and scope.gate is self and not scope.open:
            scope = scope.entered_before
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
        waiter = GateWaiter(call, self, loop, scope, breaking)
        if self.copier is not None and self.copier is call.task:
            raise gate_errors.copy_under_way(self)
        if waiter.is_deadlocked():
            raise gate_errors.deadlocked(self, waiter)
        self.append(waiter, loop)
        call.waiter = waiter
        self.units.start_next()
        try:
            bridge.await_(waiter.future)
        except BaseException:
            self._give_up(waiter)
            raise
        finally:
            call.waiter = None

    def _give_up(self, waiter: GateWaiter) -> None:
        if waiter in self.waiting:
            self.remove(waiter)
        elif not waiter.future.cancelled() and waiter.future.exception() is None:
            # Cancelled after the connection had been handed over.
            self.release()

    def _hand_over(self) -> None:
        for waiter in self.waiting:
            if waiter.may_pass(self):
                self.remove(waiter)
                self.progress = monotonic()
                self.busy = True
                if not waiter.breaking:
                    self.units.take(waiter.call, self)
                waiter.call.waiter = None
                waiter.future.set_result(None)
                return

    def _refuse_closed(self) -> None:
        if not self.waiting:
            return
        for waiter in [waiter for waiter in self.waiting if waiter.scope_has_closed()]:
            self.remove(waiter)
            if not waiter.future.done():
                assert waiter.scope is not None
                waiter.future.set_exception(
                    gate_errors.scope_has_ended(self, waiter.scope)
                )

    # ----- in vain

    def holders(self) -> Iterable[Call]:
        return [call for call in self.units.known() if self in call.held_gates]

    def deadlocked(self, waiter: GateWaiter) -> None:
        self._refuse(waiter, gate_errors.deadlocked(self, waiter))

    def overdue(self, waiter: GateWaiter, timeout: float) -> None:
        self._refuse(waiter, gate_errors.timed_out(self, waiter, timeout))

    def _refuse(self, waiter: GateWaiter, error: Exception) -> None:
        self.remove(waiter)
        waiter.future.set_exception(error)
