"""What is freed without the collector, and what would be left to it."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def uncollected() -> Iterator[None]:
    """Switch the collector off, when it has collected what was there."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


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
