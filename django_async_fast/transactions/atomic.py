"""`transaction.atomic` for coroutines in a block.

The state machine is Django's own `Atomic`, with an asynchronous face and a scope of the
connection that it works on.
"""

import functools
from collections.abc import Callable
from contextvars import Context
from typing import Any, ParamSpec, TypeAlias, TypeVar

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import SynchronousOnlyOperation
from django.db import DEFAULT_DB_ALIAS, InterfaceError, connections, transaction
from django.db.transaction import Atomic, TransactionManagementError

from .. import bridge
from ..bridge import users_code
from ..bridge.closed_coroutines import being_closed
from ..connections import block_threads, open_transactions
from ..connections.blocks import current_block, entered, entered_block
from ..connections.routing import bridged_block
from ..tasks import scopes
from . import isolation

P = ParamSpec("P")
T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., Any])
Entry: TypeAlias = tuple[Any, scopes.Scope]

# Each seam calls what it is in the place of, as `seams/installation.py` has found it.


def django_enter(atomic: Atomic) -> None:
    """Call `Atomic.__enter__` without a scope."""
    enter.__wrapped__(atomic)


def django_exit(atomic: Atomic, *exc: Any) -> Any:
    """Call `Atomic.__exit__` without a scope."""
    return leave.__wrapped__(atomic, *exc)


@functools.wraps(Atomic.__enter__)
def enter(self: Atomic, where: users_code.Place = None) -> None:
    """`Atomic.__enter__`: on a block's connection it opens a scope first."""
    if bridged_block() is None:
        if block_threads.block_of_thread() is not None:
            block_threads.run_on_loop(enter, self, where or users_code.place())
            return
        if current_block() is not None:
            raise SynchronousOnlyOperation(
                "`with transaction.atomic():` waits for the database, and a coroutine "
                "has to await that: write `async with transaction.atomic():`, or run "
                "the code around it as `await run_sync(function, ...)`."
            )
        _begin(self)
        return
    wrapper = connections[self.using or DEFAULT_DB_ALIAS]
    where = where or self.__dict__.pop("_daf_place", None) or users_code.place()
    scope = wrapper.gate.enter(self, where)
    try:
        if not wrapper.in_atomic_block and not wrapper.is_connected():
            # Django looks before it connects, and with `force_rollback` there is
            # an atomic block afterwards.
            wrapper.ensure_connection()
        _begin(self)
    except BaseException:
        wrapper.gate.end_brief(scope)
        raise
    wrapper.gate.transaction_begun(scope)
    self.__dict__.setdefault("_daf_opened", []).append((wrapper, scope))


@functools.wraps(Atomic.__exit__)
def leave(self: Atomic, exc_type: Any, exc_value: Any, traceback: Any) -> None:
    """`Atomic.__exit__`: children of the scope are done, or refused, before."""
    opened = self.__dict__.get("_daf_opened")
    if not opened:
        return _end(self, exc_type, exc_value, traceback)
    entry = wrapper, scope = _entry(opened)
    if bridged_block() is not wrapper.block:
        return _leave_elsewhere(self, entry, exc_type, exc_value, traceback)
    opened.remove(entry)
    if not scope.open:
        if exc_type is not None:
            return None  # on its way already, perhaps because of this
        raise TransactionManagementError(
            "This atomic block has ended, and has been rolled back, with the one "
            "around it or with its `new_connection()` block."
        )
    if not bridge.can_wait():
        abandon(wrapper, scope)
        return None
    if scope is not wrapper.gate.innermost:
        scope = _innermost_of_caller(wrapper, scope)
    try:
        ending = wrapper.gate.begin_exit(scope)
    except BaseException as failure:
        # A child holds on to the transaction and we may not wait for it: with
        # the connection the server's transaction ends. Unless somebody has
        # closed the scope meanwhile, and ends it.
        abandon(wrapper, scope)
        if exc_type is not None and isinstance(failure, Exception):
            return None
        raise
    try:
        # A child's statement was cancelled, or ours and that was caught: COMMIT
        # would roll back without a word.
        broken = wrapper.broken_off() if exc_type is None else None
        if broken is not None:
            exc_type, exc_value, traceback = type(broken), broken, None
        rolls_back = exc_type is not None or wrapper.needs_rollback
        if rolls_back and wrapper.connection_lost():
            # Django would try to roll back, reconnect, and raise the error of
            # that in place of the one on its way.
            wrapper.abort()
        _end(self, exc_type, exc_value, traceback)
        if broken is not None:
            raise broken
        return None
    finally:
        wrapper.gate.end_brief(ending)


def _leave_elsewhere(self: Atomic, entry: Entry, *exc: Any) -> None:
    """Leave what `entry` says where another block's connections are the caller's."""
    wrapper, scope = entry
    if block_threads.works_for(wrapper.block):
        return block_threads.run_on_loop(leave, self, *exc)
    if _is_of_caller(self):
        return _end(self, *exc)
    if exc[0] in (GeneratorExit, bridge.GreenletExit):
        # Whoever collects what is left has nothing to do with it, in whatever thread.
        self.__dict__["_daf_opened"].remove(entry)
        if scopes.entered_scope.get() is scope:
            scopes.entered_scope.set(scope.entered_before)
        if not wrapper.block.loop.is_closed():
            wrapper.block.loop.call_soon_threadsafe(
                abandon, wrapper, scope, context=Context()
            )
        return None
    if not bridge.serves(wrapper.block.loop):
        return _end(self, *exc)
    with entered(wrapper.block):
        return leave(self, *exc)


def roll_back_inside(wrapper: Any, around: scopes.Scope | None, who: str) -> None:
    """Roll back the atomic blocks inside of scope `around` that `who` left open."""
    ending, left = wrapper.gate.break_off(around)
    try:
        roll_back(wrapper, left, who)
    finally:
        wrapper.gate.end_brief(ending)


def roll_back(wrapper: Any, left: list[scopes.Scope], who: str) -> None:
    """Roll back the atomic blocks whose scopes are `left`, with a warning each.

    Whoever is still in one of them is told at his next statement, or at its end.
    """
    left = [scope for scope in left if isinstance(scope.owner, Atomic)]
    for scope in left:
        open_transactions.warn_left_open(wrapper.alias, scope.place, who)
    if left and wrapper.connection_lost():
        wrapper.abort()
    for scope in left:
        assert isinstance(scope.owner, Atomic)
        _end(scope.owner, LeftOpen, LeftOpen(who), None)


class LeftOpen(Exception):
    """Rolls back an atomic block that nobody has left."""


open_transactions.atomic_blocks = open_transactions.AtomicBlocks(
    django_enter, django_exit, roll_back
)


def _begin(self: Atomic) -> None:
    wanted = getattr(self, "characteristics", None)
    if not wanted:
        django_enter(self)
        return
    connection = transaction.get_connection(self.using)
    isolation.begin(connection, wanted)
    try:
        django_enter(self)
    except BaseException:
        isolation.end(connection)
        raise
    isolation.begun(connection, wanted)


def _end(self: Atomic, *exc: Any) -> None:
    try:
        django_exit(self, *exc)
    finally:
        if getattr(self, "characteristics", None):
            isolation.end(transaction.get_connection(self.using))


def _entry(opened: list[Entry]) -> Entry:
    """Return the wrapper and the scope that this exit belongs to.

    One instance may be open several times, in several tasks. A fixture may
    leave in another context than it entered in: then it is the last.
    """
    return ([each for each in opened if each[1].is_entered()] or opened)[-1]


def _innermost_of_caller(wrapper: Any, scope: scopes.Scope) -> scopes.Scope:
    """Return the scope that an exit from `scope` ends, on a stack as Django's.

    Whoever leaves atomic blocks in another order than he has entered them would wait
    for himself. Then it is the innermost, whose atomic block has `scope` to leave
    instead.
    """
    inside = wrapper.gate.inside(scope)
    for each in inside:
        if each.brief or not isinstance(each.owner, Atomic) or not each.is_entered():
            return scope
    innermost, *_ = inside
    other = innermost.owner
    entries: list[Entry] = other.__dict__.get("_daf_opened", [])
    if (wrapper, innermost) not in entries:
        return scope  # it is being left
    entries[entries.index((wrapper, innermost))] = wrapper, scope
    scope.owner, scope.place = other, innermost.place
    return innermost


def _is_of_caller(self: Atomic) -> bool:
    """Tell whether the caller's own connection is in this atomic block."""
    try:
        return self in transaction.get_connection(self.using).atomic_blocks
    except InterfaceError:
        return False  # its block has ended


def abandon(wrapper: Any, scope: scopes.Scope) -> None:
    """End `scope` and all inside without a statement: drop the connection."""
    if scope.open:
        wrapper.abort(keep=wrapper.gate.close_scope(scope))


async def aenter(self: Atomic) -> None:
    """`Atomic.__aenter__`."""
    if current_block() is None:
        raise TransactionManagementError(
            "`async with transaction.atomic()` needs a connection of its own: open one "
            "around it with `async with new_connection():`. In synchronous code use "
            "`with transaction.atomic():`."
        )
    # Whoever has wrapped it since is called as by `with`.
    entering = type(self).__enter__
    if entering is enter:
        await bridge.run(enter, self, users_code.place())
    else:
        self.__dict__["_daf_place"] = users_code.place()
        await bridge.run(entering, self)


async def aexit(self: Atomic, *exc: Any) -> Any:
    """`Atomic.__aexit__`."""
    opened: list[Entry] = self.__dict__.get("_daf_opened", [])
    if not opened:
        return await bridge.run(type(self).__exit__, self, *exc)
    entry = wrapper, scope = _entry(opened)
    if being_closed(exc[1]):
        opened.remove(entry)
        abandon(wrapper, scope)
        return None
    if wrapper.block is entered_block.get():
        return await bridge.run(type(self).__exit__, self, *exc)
    # An asynchronous generator ends where its consumer is, or its collector.
    with entered(wrapper.block):
        return await bridge.run(type(self).__exit__, self, *exc)


@functools.wraps(Atomic.__call__)
def decorate(self: Atomic, func: Callable[..., Any]) -> Callable[..., Any]:
    """`Atomic.__call__`: `@atomic` on `async def` wraps the awaiting."""
    if not iscoroutinefunction(func):
        return decorate.__wrapped__(self, func)

    @functools.wraps(func)
    async def inner(*args: Any, **kwargs: Any) -> Any:
        async with self._recreate_cm():
            return await func(*args, **kwargs)

    return inner
