"""The process in which a contender's cases are counted: an object of counts, as JSON.

    python -m bench.budgets.counting_run DSN ROWS CONTENDER CASE ...

Under valgrind (see `instructions.py`) it counts instructions, else Python calls.
"""

import asyncio
import contextvars
import inspect
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from bench.contenders import load
from bench.harness.timed_run import TimedRun
from bench.harness.worker import settle

from . import instructions, python_calls

TIMES = 20
# The first ones compile queries and fill caches. Of the others the least counts: now
# and then a socket is waited for once more.
ROUNDS = 7
ROUNDS_UNDER_VALGRIND = 5
WARM_UP = 3


class CountingRun(TimedRun):
    """A contender's turn that counts where the benchmarks time."""

    def __init__(self, contender: Any, rows: int, times: int, count: Any) -> None:
        super().__init__(contender, rows, times, verify=False)
        self.found = 0
        self._count = count

    @contextmanager
    def clock(self) -> Iterator[None]:
        with self._count() as counted:
            yield
        self.found = counted.count


def main(dsn: str, rows: str, name: str, *cases: str) -> None:
    under_valgrind = instructions.OUT in os.environ

    def counter_of(case: str) -> Any:
        if under_valgrind:
            return instructions.counted
        # A stream waits as often as the server is slower.
        left_out = python_calls.LOOP if case.startswith("stream_") else ()
        return partial(python_calls.counted, left_out)

    rounds = ROUNDS_UNDER_VALGRIND if under_valgrind else ROUNDS
    contender = load(name)(dsn, 8)
    with asyncio.Runner() as runner:

        def run(coroutine: Any) -> None:
            runner.run(coroutine, context=contextvars.copy_context())

        def turn(case: str) -> int:
            counting = CountingRun(contender, int(rows), TIMES, counter_of(case))
            counting.related = case.startswith("select_related")
            method = getattr(contender, case)
            settle()
            if inspect.iscoroutinefunction(method):
                run(method(counting))
            else:
                method(counting)
            return counting.found

        run(contender.open())
        found = {}
        for case in cases:
            turns = [turn(case) for _ in range(WARM_UP + rounds)]
            found[case] = min(turns[WARM_UP:]) / _times(case)
    print(json.dumps(found), flush=True)
    os._exit(0)  # a contender's pools stay open


def _times(case: str) -> int:
    """Return how often a turn does it: tables are read once."""
    once = case.startswith(("stream_", "sync_", "select_", "cached_"))
    return 1 if once else TIMES


if __name__ == "__main__":
    main(*sys.argv[1:])
