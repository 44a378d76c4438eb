"""Transactions open when a block ends, and the one that `force_rollback` opens.

`transactions/` stands above this room, and registers here how an atomic block is
entered, left and rolled back on a block's connection. Without it they are Django's.
"""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from django.db import ProgrammingError
from django.db.transaction import Atomic

from ..bridge.users_code import Place, describe
from ..tasks.scopes import Scope

logger = logging.getLogger("django_async_fast")


class AtomicBlocks(NamedTuple):
    """How to enter and leave an atomic block without a scope, and roll back scopes."""

    enter: Callable[[Atomic], Any]
    leave: Callable[..., Any]
    roll_back: Callable[[Any, list[Scope], str], None]


def _no_scopes(wrapper: Any, left: list[Scope], who: str) -> None:
    """Roll nothing back: only `transactions/` opens scopes for atomic blocks."""


atomic_blocks = AtomicBlocks(Atomic.__enter__, Atomic.__exit__, _no_scopes)


def warn_left_open(alias: str, where: Place, who: str) -> None:
    """Tell where the transaction was begun that is rolled back in its place."""
    logger.warning(
        "%s left a transaction on '%s' open; it is rolled back. It was begun at %s.",
        who,
        alias,
        describe(where),
    )


def begin_undo(wrapper: Any) -> Atomic:
    """Enter an atomic block that `undo()` will roll back; return it."""
    atomic = _as_of_a_test(wrapper.alias)
    atomic.__enter__()
    return atomic


def _as_of_a_test(alias: str) -> Atomic:
    """Return an atomic block that durable ones may be nested in."""
    atomic = Atomic(alias, True, False)
    atomic._from_testcase = True
    return atomic


def undo(wrapper: Any, atomic: Atomic) -> None:
    """Roll back what has been done since `begin_undo()`."""
    wrapper.needs_rollback = True
    atomic.__exit__(None, None, None)


def begin_rollback(wrapper: Any) -> None:
    """Enter the atomic block of `force_rollback`, that the block's end rolls back."""
    atomic = wrapper.rollback_atomic = _as_of_a_test(wrapper.alias)
    atomic_blocks.enter(atomic)


def end(wrapper: Any, left: list[Scope]) -> None:
    """Roll back what is open when the block of `wrapper` ends."""
    if left:
        atomic_blocks.roll_back(wrapper, left, wrapper.block.who)
    atomic, wrapper.rollback_atomic = wrapper.rollback_atomic, None
    if atomic is not None and wrapper.in_atomic_block:
        wrapper.needs_rollback = True
        atomic_blocks.leave(atomic, None, None, None)
    if not wrapper.autocommit:
        restore_autocommit(wrapper, wrapper.block.who)


def restore_autocommit(wrapper: Any, who: str) -> None:
    """Roll back what `who` has begun with autocommit off, and not ended."""
    if wrapper.connection is None or wrapper.connection.closed:
        return
    usual = wrapper.settings_dict["AUTOCOMMIT"]
    if usual and wrapper.in_transaction():
        warn_left_open(wrapper.alias, wrapper.autocommit_place, who)
    # An atomic block that failed to begin leaves it on.
    wrapper.in_atomic_block = False
    try:
        wrapper.rollback()
    except ProgrammingError:
        # psycopg refuses in a two-phase transaction. What is prepared stays so.
        wrapper._discard()
        return
    wrapper.set_autocommit(usual)
