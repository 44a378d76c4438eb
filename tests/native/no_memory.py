"""Fail every allocation of Python's, one at a time: `python -m tests.native.no_memory`.

A process of its own: a missing check for NULL ends it, and the last name printed is the
output that was being made. Starved are rows only: CPython 3.13's list comprehensions
(python/cpython#151818), Cython 3.3's calls of `__init__` and its tracebacks crash, so no
Python code runs, no plan is made and nothing else fails while memory is short.
"""

import _testcapi
import gc
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import django
from django.conf import settings
from django.db.models.base import ModelState

settings.configure()
django.setup()

from django_async_fast import _native  # noqa: E402
from tests.support.forged_results import forged  # noqa: E402

from .outputs import OUTPUTS, VALUE, converted  # noqa: E402

rows, decode = _native.rows, _native.decode
ModelState.__del__ = rows.state_finalizer_for(ModelState)  # as when it is installed

# More than any act needs: the last run must not notice.
MOST_ALLOCATIONS = 100

RUNS_PYTHON = {"converted", "odd annotations", "select_related"}
RUNS_PYTHON |= {name for name in OUTPUTS if "from_db" in name}


def starve(act: Callable[[], Any], *others: str) -> None:
    """Run `act` with its first allocation failing, then with its second, and so on.

    It fails with MemoryError, or with one of the `others`: which allocations are
    PyO3's own depends on the release of CPython.
    """
    outcomes = [outcome(act, failing) for failing in range(1, MOST_ALLOCATIONS + 1)]
    assert outcomes[-1] == ""
    failures = set(outcomes) - {""}
    assert failures, "no allocation failed"
    assert failures <= {"MemoryError", *others}, failures


def outcome(act: Callable[[], Any], failing: int) -> str:
    gc.collect()
    references = sys.getrefcount(VALUE)
    _testcapi.set_nomemory(failing, failing + 1)
    try:
        act()
    except BaseException as error:
        kind = type(error).__name__
    else:
        # An instance that cannot copy its dict when it is freed leaks it: CPython's.
        return ""
    finally:
        _testcapi.remove_mem_hooks()
    gc.collect()
    assert sys.getrefcount(VALUE) == references
    return kind


# ---------------------------------------------------------------- rows into outputs


def iterate(plan: Any) -> Callable[[], Any]:
    batch = rows.TupleBatch(plan, [(VALUE,) * 5, [VALUE] * 5])
    return lambda: list(rows.RowIterator(iter((batch, None)).__next__))


async def loop(iterator: Any) -> None:
    async for _ in iterator:
        pass


def step(coroutine: Any) -> None:
    try:
        coroutine.send(None)
    except StopIteration:
        pass


def await_(plan: Any) -> Callable[[], Any]:
    batch = rows.TupleBatch(plan, [(VALUE,) * 5, [VALUE] * 5])
    return lambda: step(loop(rows.AsyncRowIterator(iter((batch, None)).__next__)))


# ---------------------------------------------------------------- a result into rows

# OIDs, and bytes of a value each.
SENT = {
    17: b"bytes",
    20: bytes(7) + b"\xff",
    25: b"text",
    114: b"[1]",
    701: bytes(8),
    869: b"\2\x20\0\4\1\2\3\4",
    1082: bytes(4),
    1083: bytes(8),
    1114: bytes(8),
    1184: bytes(8),
    1186: bytes(16),
    1266: bytes(12),
    1700: b"\0\1\0\0\0\0\0\0\0\5",
    2950: bytes(16),
    3802: b"\1{}",
}


def main() -> None:
    gc.disable()
    gc.freeze()
    made = {n: make() for n, make in OUTPUTS.items() if n not in RUNS_PYTHON}
    made["converted"] = converted(slice, slice)
    for name, plan in made.items():
        print(name, flush=True)
        starve(iterate(plan))
        starve(await_(plan))
    result = forged(*SENT.items())
    pointer = result.pgresult_ptr
    decoder = decode.RowDecoder([*SENT])
    plan = rows.TuplePlan(width=len(SENT))
    batch = rows.ResultBatch(plan, decoder, None, pointer, 1)
    # PyO3 panics where it has no memory: as RuntimeError it arrives from `decode_row`,
    # as PyO3's own exception from the rest.
    print("result", flush=True)
    starve(lambda: list(rows.RowIterator(iter((batch, None)).__next__)), "RuntimeError")
    starve(partial(decoder.decode, pointer, 0), "PanicException")
    starve(partial(decode.RowDecoder, [*SENT]), "PanicException")


if __name__ == "__main__":
    main()
