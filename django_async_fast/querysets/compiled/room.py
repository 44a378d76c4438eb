"""What is kept of statements, and which of it is forgotten first.

Each node of the tree, statement and write of a model has the time when it was used
last, by a clock that goes on when something is learnt (`Steps.clock`): a hit stores one
number, without a lock or a list. When there are too many, they are sorted by it, and
those that were not used for the longest time are forgotten, a quarter of all at once.
"""

import weakref
from collections.abc import Iterator
from operator import attrgetter
from threading import Lock
from typing import Any, NamedTuple

from .paths import STEPS

# Those of which something is kept: roots of the tree, and the writes of models.
_kept: dict[int, weakref.ref[Any]] = {}
_making = Lock()


class Item(NamedTuple):
    """Something that can be forgotten: `owner[key]`."""

    used: int
    owner: dict[Any, Any]
    key: Any
    value: Any
    is_statement: bool


def add(kept: Any) -> None:
    """Let `make()` forget what a root of the tree, or a model's writes, have."""
    key = id(kept)
    _kept[key] = weakref.ref(kept, lambda _: _kept.pop(key, None))


def clear() -> None:
    """Take note of nothing: it belongs to another tree."""
    _kept.clear()


def items() -> list[Item]:
    """Return all that is kept; what is below a node comes before it."""
    found: list[Item] = []
    for ref in [*_kept.values()]:
        kept = ref()
        if isinstance(kept, dict):
            found += _writes(kept)
        elif kept is not None:
            _below(kept.node, found)
    return found


def _writes(known: dict[Any, Any]) -> Iterator[Item]:
    for key, value in [*known.items()]:
        used = getattr(value, "used", 0)
        yield Item(used, known, key, value, is_statement=True)


def _below(node: Any, found: list[Item]) -> int:
    """Add what is below a node; return when it, or one of them, was used last."""
    used: int = node.used
    for key, value in [*node.entries.items()]:
        # Of an UPDATE there is one for each database. Why there is none goes first.
        each = value.values() if isinstance(value, dict) else (value,)
        last = max((getattr(one, "used", 0) for one in [*each]), default=0)
        used = max(used, last)
        known = not isinstance(value, str)
        found.append(Item(last, node.entries, key, value, is_statement=known))
    for key, child in [*node.children.items()]:
        below = _below(child, found)
        used = max(used, below)
        found.append(Item(below, node.children, key, child, is_statement=False))
    return used


def make(bound: int) -> int:
    """Forget what was not used for the longest time; return how many statements."""
    if not _making.acquire(blocking=False):
        return 0  # another thread does
    try:
        # Sorting keeps what is below a node before it.
        kept = sorted(items(), key=attrgetter("used"))
        gone = kept[: max(len(kept) - bound * 3 // 4, 0)]
        for each in gone:
            each.owner.pop(each.key, None)
        STEPS.size = len(kept) - len(gone)
        return sum(each.is_statement for each in gone)
    finally:
        _making.release()
