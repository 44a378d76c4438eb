"""Threads that a block's task waits for: in them `connections[alias]` is the block's.

`sync_to_async(function)` puts the function in a thread. What it does with the block's
connection is done on the loop, in a bridged call that is part of the function's: the
thread waits for it, the loop does not wait for the thread. Each function is a unit, as
a bridged call is (`tasks/units.py`), and has the `threading.local` values that bridged
calls have where they have their own: in stock Django both run in one thread.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from functools import cache, partial
from threading import get_ident
from types import FrameType, MethodType
from typing import Any, TypeVar

from asgiref.sync import AsyncToSync, SyncToAsync
from django.db import InterfaceError
from django.db.backends.utils import CursorWrapper

from .. import bridge, conf
from ..bridge.users_code import module_of
from . import lazy_wrapper, lent_thread_locals, shared_thread_locals
from .block_protocol import Block

T = TypeVar("T")

# What Django puts in threads where its own handler serves the request: there it has
# the thread's ordinary connections, as without a block.
_HANDLER = ("django.core.handlers.", "django.utils.deprecation")

# What connections/dispatch.py stands before.
in_thread: Callable[..., Coroutine[Any, Any, Any]] = SyncToAsync.__call__
on_loop: Callable[..., Any] = AsyncToSync.__call__


# The block whose function runs in a thread, by its ident: what the thread has in a
# `threading.local` may be with the loop.
_blocks: dict[int, Block] = {}


def block_of_thread() -> Block | None:
    """Return the block that this thread works for, or None.

    Raises InterfaceError where it has outlived that block.
    """
    block = _blocks.get(get_ident())
    if block is not None and not block.open:
        raise InterfaceError(
            "The `async with new_connection()` block that this thread was started in "
            "has ended. Await what the thread does inside the block."
        )
    return block


def in_block_thread() -> bool:
    """Tell whether this thread works for a block, perhaps one that has ended."""
    return get_ident() in _blocks


def forget() -> None:
    """Let no thread work for a block: a child process has none of its parent's."""
    _blocks.clear()


def works_for(block: Block | None) -> bool:
    """Tell whether this thread works for `block`, perhaps one that has ended."""
    return block is not None and _blocks.get(get_ident()) is block


def run_on_loop(func: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Return what `func` does on the loop of the thread's block, where it may wait.

    It is called in the context of the thread, which sees what `func` has set in there.
    """
    waited = AsyncToSync(bridge.run)
    called: T
    if lent_thread_locals.are_mine():
        called = lent_thread_locals.call(waited, (func, *args), kwargs)
    else:
        called = wait_for_loop(waited, func, *args, **kwargs)
    return called


def wait_for_loop(waited: AsyncToSync[Any, Any], *args: Any, **kwargs: Any) -> Any:
    """Return what a thread of a block's has `waited` for, outside of bridged calls."""
    with shared_thread_locals.while_waiting():
        return on_loop(waited, *args, **kwargs)


def is_called_by_handler(frame: FrameType | None) -> bool:
    """Tell whether Django's handler has called asgiref in `frame`, for a request."""
    while frame is not None and module_of(frame).startswith("asgiref."):
        frame = frame.f_back
    return frame is not None and module_of(frame).startswith(_HANDLER)


def makes_error_page(func: Any) -> bool:
    """Tell whether `func` makes Django's response to an error, out of what is thrown.

    Behind asynchronous middleware Django gives it to any thread, which has another
    request's `threading.local` values.
    """
    return (
        getattr(func, "__name__", "") == "response_for_exception"
        and func.__module__ == "django.core.handlers.exception"
    )


def while_handling(
    error: BaseException | None, func: Callable[..., T], /, *args: Any, **kwargs: Any
) -> T:
    """Call `func` where `sys.exc_info()` is that of `error`, as asgiref has it."""
    if error is None:
        return func(*args, **kwargs)
    try:
        raise error
    except BaseException:
        return func(*args, **kwargs)


def is_bridged(call: SyncToAsync[Any, Any]) -> bool:
    """Tell whether a function given to asgiref needs no thread: it is the database's.

    Channels says so by `database_sync_to_async`, a project by the setting BRIDGED.
    """
    if type(call).__module__ == "channels.db":
        return True
    if not (names := conf.get("BRIDGED")):
        return False
    func = call.func
    while isinstance(func, partial):
        func = func.func
    module, name = getattr(func, "__module__", ""), getattr(func, "__qualname__", "")
    return any(
        each in (module, f"{module}.{name}") or f"{module}.".startswith(f"{each}.")
        for each in names
    )


async def run(block: Block, call: SyncToAsync[Any, Any], args: Any, kwargs: Any) -> Any:
    """Await `call(*args, **kwargs)` of asgiref's, in a thread that is the block's."""
    unit = bridge.Call(bridge.enclosing_call())
    await block.units.wait_to_begin(unit)
    unit.set_task(block.loop)
    theirs = copy.copy(call)
    theirs.func = partial(_call, block, shared_thread_locals.for_thread(), call.func)
    around = bridge.outer_call.set(unit)
    try:
        return await in_thread(theirs, *args, **kwargs)
    finally:
        bridge.outer_call.reset(around)
        unit.end()


def _call(
    block: Block,
    values: shared_thread_locals.Values | None,
    func: Callable[..., Any],
    /,
    *args: Any,
    **kwargs: Any,
) -> Any:
    thread = get_ident()
    if thread == block.thread:
        return func(*args, **kwargs)  # on the loop itself: nothing is handed over
    before, _blocks[thread] = _blocks.get(thread), block
    try:
        if values is None:
            return func(*args, **kwargs)
        called = partial(func, *args, **kwargs)
        return shared_thread_locals.call(values, block.loop, called)
    finally:
        if before is None:
            del _blocks[thread]
        else:
            _blocks[thread] = before


# ----- the block's wrapper, in a thread


def wrapper(block: Block, alias: str) -> Any:
    """Return the block's wrapper for `alias`, whose methods threads may call."""
    found = block.wrapper(alias)
    if lazy_wrapper.is_lazy(found):
        run_on_loop(getattr, found, "alias")
    kind = type(found)
    if lazy_wrapper.is_built(found) and not issubclass(kind, _Shared):
        found.__class__ = _shared_class(kind)  # type: ignore[arg-type]
    return found


class _Shared:
    """Marks the class of a wrapper that threads have asked for."""


@cache
def _shared_class(kind: Any) -> Any:
    named = {"__module__": kind.__module__}
    shared: Any = type(kind.__name__, (kind, _Shared), named)
    for name in _WAITING_METHODS:
        if hasattr(kind, name):
            setattr(shared, name, _OnLoop(shared, name))
    for name in _CURSOR_METHODS:
        setattr(shared, name, _OnLoop(shared, name, _RemoteCursor))
    shared.validate_thread_sharing = _validate(shared)
    return shared


# What may wait for the server, of Django's wrapper and of PostgreSQL's and ours.
_WAITING_METHODS = (
    *("connect", "ensure_connection", "close", "close_pool", "is_usable"),
    *("close_if_unusable_or_obsolete", "close_if_health_check_failed"),
    *("commit", "rollback", "get_autocommit", "set_autocommit", "check_constraints"),
    *("savepoint", "savepoint_rollback", "savepoint_commit", "clean_savepoints"),
    *("disable_constraint_checking", "enable_constraint_checking"),
    *("on_commit", "run_and_clear_commit_hooks", "register_type_handlers"),
)
_CURSOR_METHODS = "cursor", "chunked_cursor"


class _OnLoop:
    """A method that threads have called on the loop; `result` gets what it returns.

    Elsewhere it is as if it were not there: what the class below has at the time runs.
    It stands before what the connection itself has of that name: what a debugging tool
    has put there calls the class's method, which may wait.
    """

    def __init__(self, shared: Any, name: str, result: Any = None) -> None:
        self.name = name
        self.result = result

        def method(wrapper: Any, *args: Any, **kwargs: Any) -> Any:
            below = getattr(super(shared, wrapper), name)
            return self.call(below, *args, **kwargs)

        self.__func__ = method  # where unpatched.py looks for it

    def call(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if not in_block_thread():
            return func(*args, **kwargs)
        found = run_on_loop(func, *args, **kwargs)
        return found if self.result is None else self.result(found)

    def __get__(self, wrapper: Any, owner: Any = None) -> Any:
        if wrapper is None:
            return self.__func__
        try:
            own = vars(wrapper)[self.name]
        except KeyError:
            return MethodType(self.__func__, wrapper)
        return partial(self.call, own) if in_block_thread() else own

    def __set__(self, wrapper: Any, value: Any) -> None:
        vars(wrapper)[self.name] = value

    def __delete__(self, wrapper: Any) -> None:
        try:
            del vars(wrapper)[self.name]
        except KeyError:
            raise AttributeError(self.name) from None


def _validate(shared: Any) -> Any:
    def inner(self: Any) -> None:
        if _blocks.get(get_ident()) is not self.block:
            super(shared, self).validate_thread_sharing()

    return inner


class _RemoteCursor:
    """A cursor of the loop's, or what one has returned, for a thread."""

    def __init__(self, inner: Any) -> None:
        self.__dict__["_inner"] = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return partial(_call_on_loop, found) if callable(found) else found

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inner, name, value)

    def __enter__(self) -> Any:
        entered = run_on_loop(type(self._inner).__enter__, self._inner)
        return self if entered is self._inner else _remote(entered)

    def __exit__(self, *exc: Any) -> Any:
        return run_on_loop(type(self._inner).__exit__, self._inner, *exc)

    def __iter__(self) -> Any:
        return _RemoteCursor(run_on_loop(iter, self._inner))

    def __next__(self) -> Any:
        # StopIteration cannot be the outcome of a coroutine.
        item = run_on_loop(next, self._inner, _END)
        if item is _END:
            raise StopIteration
        return item


_END: Any = object()


def _call_on_loop(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return _remote(run_on_loop(function, *args, **kwargs))


def _remote(found: Any) -> Any:
    """Return `found` so that what it waits for is handed over, too."""
    if isinstance(found, (CursorWrapper, AbstractContextManager)) or hasattr(
        found, "__next__"
    ):
        return _RemoteCursor(found)
    return found
