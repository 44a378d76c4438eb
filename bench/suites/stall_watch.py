"""`python -m bench.suites.stall_watch`: what STALL_WATCH costs a page without a query.

Processor time of all threads, in rounds that take turns with and without it: the lower
quartiles, which other work on the machine disturbs least. No database is asked.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import time
from statistics import quantiles

from rich.console import Console

from bench.pages import client, site
from bench.pages.pages import PAGES

ROUNDS = 40
REQUESTS = 1_000
LIMIT = 0.25


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.suites.stall_watch", description=__doc__
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds")
    options = parser.parse_args()
    site.configure("dbname=none", 1, "django_async_fast")
    off, on = asyncio.run(_measure(options.rounds, options.limit))
    Console().print(
        f"{off:.1f} us a request, {on:.1f} us watched for {options.limit} s: "
        f"{on / off - 1:+.2%}, {options.rounds} rounds of each"
    )
    return 0


async def _measure(rounds: int, limit: float) -> tuple[float, float]:
    """Return us a request, without STALL_WATCH and with it."""
    from django.test import override_settings

    from django_async_fast.asgi import get_asgi_application

    with override_settings(MIDDLEWARE=[]):
        application = get_asgi_application()
    found: dict[float | None, list[float]] = {None: [], limit: []}
    for turn in range(rounds + 1):
        # Neither is always the first.
        for watch in list(found)[:: 1 if turn % 2 else -1]:
            with override_settings(DJANGO_ASYNC_FAST={"STALL_WATCH": watch}):
                us = await _round(application)
            if turn:
                found[watch].append(us)
    return quantiles(found[None])[0], quantiles(found[limit])[0]


async def _round(application: object) -> float:
    path = PAGES["plain"].path
    gc.collect()
    for turn in range(20):
        await client.get(application, path, turn)
    began = time.process_time_ns()
    for turn in range(REQUESTS):
        await client.get(application, path, turn)
    return (time.process_time_ns() - began) / REQUESTS / 1000


if __name__ == "__main__":
    sys.exit(main())
