"""What is freed without the collector, and what would be left to it."""

import gc
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any


@contextmanager
def uncollected(begin: Any = gc.disable, end: Any = gc.enable) -> Iterator[None]:
    """Switch the collector off, when it has collected what was there."""
    gc.collect()
    begin()
    try:
        yield
    finally:
        end()


def frozen() -> AbstractContextManager[None]:
    """Have each collection look at what is made meanwhile, not at all other tests."""
    return uncollected(gc.freeze, gc.unfreeze)


@contextmanager
def left_to_collect() -> Iterator[list[Any]]:
    """The same; yield what `gc.collect()` finds."""
    with uncollected():
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            yield gc.garbage
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
