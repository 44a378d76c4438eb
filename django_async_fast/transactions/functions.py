"""The functions of `django.db.transaction`, for coroutines."""

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import SynchronousOnlyOperation
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from .. import bridge
from ..connections import dispatch
from ..connections.blocks import current_block

djangos_mark_for_rollback_on_error = transaction.mark_for_rollback_on_error

P = ParamSpec("P")
T = TypeVar("T")


@functools.wraps(BaseDatabaseWrapper.on_commit)
def on_commit(self: Any, func: Callable[..., Any], robust: bool = False) -> None:
    """`BaseDatabaseWrapper.on_commit`: `func` may be an `async def`."""
    seen = _as_caller_has_it(self)
    if iscoroutinefunction(func):
        if not seen.in_atomic_block and not bridge.in_bridge() and current_block():
            _refuse_at_once(seen, func)
        func = dispatch.awaiting(func)
    on_commit.__wrapped__(seen, func, robust)


def _as_caller_has_it(wrapper: Any) -> Any:
    """Return a wrapper, or what has of it the atomic blocks that the caller is in.

    A task beside it may have others open; what they roll back is not the caller's.
    """
    gate = getattr(wrapper, "gate", None)
    if gate is None or (scope := gate.caller_scope()) is gate.innermost:
        return wrapper
    while not scope.open and scope.outer is not None:
        scope = scope.outer
    blocks = scope.depth() + (wrapper.rollback_atomic is not None)
    return SimpleNamespace(
        alias=wrapper.alias,
        in_atomic_block=blocks > 0,
        get_autocommit=lambda: True,
        savepoint_ids=wrapper.savepoint_ids[: max(blocks - 1, 0)],
        run_on_commit=wrapper.run_on_commit,
    )


@contextmanager
@functools.wraps(transaction.mark_for_rollback_on_error)
def mark_for_rollback_on_error(using: str | None = None) -> Iterator[None]:
    """`transaction.mark_for_rollback_on_error`, but for the caller's transaction."""
    try:
        yield
    except Exception:
        wrapper = transaction.get_connection(using)
        if _as_caller_has_it(wrapper) is not wrapper:
            raise  # what is open is another task's
        with djangos_mark_for_rollback_on_error(using):
            raise


def _refuse_at_once(wrapper: Any, func: Any) -> None:
    """Refuse an `async def` that on_commit() would call at once, in a coroutine."""
    if not wrapper.get_autocommit():
        return  # Django refuses it
    name = getattr(func, "__name__", "function")
    raise SynchronousOnlyOperation(
        f"There is no transaction on '{wrapper.alias}', so on_commit() calls {name}() "
        f"at once, and in a coroutine cannot await it. Call `await {name}()`, or "
        "on_commit() inside `async with transaction.atomic():`, or `await "
        f"run_sync(transaction.on_commit, {name})`."
    )


def _awaited(function: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    native = dispatch.sync_to_async(function)

    @functools.wraps(function)
    async def inner(*args: P.args, **kwargs: P.kwargs) -> T:
        result: T = await native(*args, **kwargs)
        return result

    inner.__name__ = inner.__qualname__ = f"a{function.__name__}"
    inner.__doc__ = f"Asynchronous `transaction.{function.__name__}()`."
    return inner


# Django 6.1 renamed savepoint() and warns about the old name.
if TYPE_CHECKING:
    from django.db.transaction import savepoint_create as savepoint_create
else:
    savepoint_create = getattr(transaction, "savepoint_create", transaction.savepoint)

acommit = _awaited(transaction.commit)
arollback = _awaited(transaction.rollback)
asavepoint = _awaited(savepoint_create)
asavepoint_commit = _awaited(transaction.savepoint_commit)
asavepoint_rollback = _awaited(transaction.savepoint_rollback)
aclean_savepoints = _awaited(transaction.clean_savepoints)
aget_autocommit = _awaited(transaction.get_autocommit)
aset_autocommit = _awaited(transaction.set_autocommit)
aget_rollback = _awaited(transaction.get_rollback)
aset_rollback = _awaited(transaction.set_rollback)


@asynccontextmanager
async def amark_for_rollback_on_error(using: str | None = None) -> AsyncIterator[None]:
    """Asynchronous `transaction.mark_for_rollback_on_error()`."""
    with transaction.mark_for_rollback_on_error(using=using):
        yield


# What `django.db.transaction` gains.
ADDED = {
    function.__name__: function
    for function in (
        *(acommit, arollback, asavepoint, asavepoint_commit, asavepoint_rollback),
        *(aclean_savepoints, aget_autocommit, aset_autocommit, aget_rollback),
        *(aset_rollback, amark_for_rollback_on_error),
    )
}
ADDED["asavepoint"] = asavepoint
