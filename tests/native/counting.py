"""What an act leaves behind: references, Python's blocks, bytes of the C heap."""

from __future__ import annotations

import ctypes
import gc
import sys
from array import array
from collections.abc import Callable
from typing import Any, NamedTuple

RUNS = 50
ROUNDS = 5


class Heap(ctypes.Structure):
    """`struct mallinfo2` of glibc."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def heap() -> int:
    """Bytes that malloc has given out: what Rust keeps, and Python's large blocks."""
    try:
        function = ctypes.CDLL(None).mallinfo2
    except AttributeError:  # not glibc
        return 0
    function.restype = Heap
    return int(function().uordblks)


def steady(act: Callable[[], Any], *shared: Any) -> None:
    """Assert that running `act` again and again leaves nothing, nor holds `shared`.

    A leak of one block or reference in each run is RUNS of them, in every round. What
    caches and free lists do happens in some round only.
    """
    gc.freeze()  # what was there before need not be searched
    try:
        for _ in range(ROUNDS):
            grown = growth(act, shared)
            if grown.is_nothing():
                return
    finally:
        gc.unfreeze()
    raise AssertionError(f"{grown} in {RUNS} runs")


class Growth(NamedTuple):
    references: list[int]
    blocks: int
    heap: int

    def is_nothing(self) -> bool:
        few, small = self.blocks < RUNS / 4, self.heap < 8 * RUNS
        return not any(self.references) and few and small


def growth(act: Callable[[], Any], shared: tuple[Any, ...]) -> Growth:
    references, blocks, size = count(shared)
    for _ in range(RUNS):
        act()
    now = count(shared)
    gained = [new - old for new, old in zip(now[0], references, strict=True)]
    return Growth(gained, now[1] - blocks, now[2] - size)


def count(shared: tuple[Any, ...]) -> tuple[array[int], int, int]:
    gc.collect()
    # Not a list, which would itself hold the small integer that a test watches: before
    # CPython 3.12 its references are counted.
    references = array("q", map(sys.getrefcount, shared))
    return references, sys.getallocatedblocks(), heap()
