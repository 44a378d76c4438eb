"""`python -m bench.suites.stall_watch`: what STALL_WATCH costs a page without a query.

Processor time of all threads, in rounds that take turns with and without it: the lower
quartiles, which other work on the machine disturbs least. With `--instructions` those
of a request alone, counted by valgrind. The watching thread is not in them: it looks
three times in the limit, however many requests there are. No database is asked.
"""

import argparse
import asyncio
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from statistics import quantiles
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from bench.budgets import instructions
from bench.pages import client, site
from bench.pages.pages import PAGES

ROUNDS = 40
REQUESTS = 1_000
LIMIT = 0.25
# Seconds, in which the watching thread does not look.
NEVER = 36_000.0
# Rounds and requests, where they take a hundred times as long.
COUNTED = {"rounds": 2, "requests": 100}


@contextmanager
def processor_time() -> Iterator[SimpleNamespace]:
    """Count the microseconds of processor time while it is entered."""
    found = SimpleNamespace()
    began = time.process_time_ns()
    yield found
    found.count = (time.process_time_ns() - began) / 1000


Meter = Callable[[], AbstractContextManager[Any]]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.suites.stall_watch", description=__doc__
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds")
    parser.add_argument("--instructions", action="store_true", help="count them")
    options = parser.parse_args()
    if instructions.OUT in os.environ:  # under valgrind
        report(options.limit, "instructions", instructions.counted, **COUNTED)
    elif options.instructions:
        count()
    else:
        report(options.limit, "us", processor_time, options.rounds, REQUESTS)


def count() -> None:
    if lacking := instructions.missing():
        raise SystemExit(f"Instructions are not counted: there is no {lacking}.")
    ask = [sys.executable, "-m", "bench.suites.stall_watch", f"--limit={NEVER}"]
    with instructions.command() as (before, environment):
        environment = os.environ | environment | {"PYTHONHASHSEED": "0"}
        subprocess.run([*before, *ask], env=environment, check=True)


def report(limit: float, unit: str, meter: Meter, rounds: int, requests: int) -> None:
    site.configure("dbname=none", 1, "django_async_fast")
    off, on = asyncio.run(_measure(limit, meter, rounds, requests))
    Console().print(
        f"{off:,.1f} {unit} a request, {on:,.1f} watched for {limit} s: "
        f"{on / off - 1:+.2%}, {rounds} rounds of each"
    )


async def _measure(
    limit: float, meter: Meter, rounds: int, requests: int
) -> tuple[float, float]:
    """Return what a request costs, without STALL_WATCH and with it."""
    from django.test import override_settings

    from django_async_fast.asgi import get_asgi_application
    from django_async_fast.requests import clients

    # Who looks at clients that wait does so by the clock.
    clients.PAUSE = NEVER
    with override_settings(MIDDLEWARE=[]):
        application = get_asgi_application()
    found: dict[float | None, list[float]] = {None: [], limit: []}
    for turn in range(rounds + 1):
        # Neither is always the first.
        for watch in list(found)[:: 1 if turn % 2 else -1]:
            with override_settings(DJANGO_ASYNC_FAST={"STALL_WATCH": watch}):
                cost = await _round(application, meter, requests)
            if turn:
                found[watch].append(cost)
    return quantiles(found[None])[0], quantiles(found[limit])[0]


async def _round(application: object, meter: Meter, requests: int) -> float:
    path = PAGES["plain"].path
    gc.collect()
    gc.disable()
    for turn in range(20):
        await client.get(application, path, turn)
    with meter() as found:
        for turn in range(requests):
            await client.get(application, path, turn)
    return float(found.count) / requests


if __name__ == "__main__":
    main()
