"""Transactions open when a block ends, and the one that `force_rollback` opens.

`transactions/` stands above this room, and registers here how an atomic block is
entered, left and rolled back on a block's connection. Without it they are Django's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

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
