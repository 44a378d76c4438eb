"""Stock Django and this package take turns in one process; what each took is kept."""

import asyncio
import contextvars
import gc
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..connections.blocks import new_connection
from ..requests.lifespan import close_pools
from ..seams.installation import install, install_blocking, uninstall
from ..testing.shared_connection import close_threads_connections

STOCK, OURS = "stock", "django_async_fast"


@dataclass
class Turns:
    """Seconds of one operation, a figure for each round."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def add(self, cpu: float, wall: float) -> None:
        self.cpu.append(cpu)
        self.wall.append(wall)


@contextmanager
def stock() -> Any:
    """Take every seam out of Django meanwhile: no block may be open."""
    uninstall()
    try:
        yield
    finally:
        install()
        install_blocking()


class Operation:
    """What is measured: made for either side, then awaited `times` in a turn."""

    def __init__(self, make: Callable[[str], Callable[[], Awaitable[Any]]]) -> None:
        self._make = make

    async def stock(self, times: int) -> tuple[float, float, Any]:
        return await _timed(self._make(STOCK), times)

    async def ours(self, times: int) -> tuple[float, float, Any]:
        async with new_connection():
            return await _timed(self._make(OURS), times)


class Request(Operation):
    """A request opens a block of its own."""

    async def ours(self, times: int) -> tuple[float, float, Any]:
        return await _timed(self._make(OURS), times)


async def _timed(
    operation: Callable[[], Awaitable[Any]], times: int
) -> tuple[float, float, Any]:
    await operation()  # connects, and compiles what is compiled once
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        found = await operation()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return cpu / times, wall / times, found


def measure(operation: Operation, rounds: int, times: int) -> dict[str, Turns]:
    """Return who -> what each round took. AssertionError if the answers differ."""
    turns = {STOCK: Turns(), OURS: Turns()}
    with asyncio.Runner() as runner:

        def run(turn: Coroutine[Any, Any, Any]) -> Any:
            return runner.run(turn, context=contextvars.copy_context())

        for number in range(-1, rounds):  # the first warms up
            answers = {}
            # Nobody always comes after the other.
            for who in (STOCK, OURS) if number % 2 else (OURS, STOCK):
                if who == STOCK:
                    with stock():
                        cpu, wall, answers[who] = run(operation.stock(times))
                        run(close_threads_connections())
                else:
                    cpu, wall, answers[who] = run(operation.ours(times))
                if number >= 0:
                    turns[who].add(cpu, wall)
            if answers[STOCK] != answers[OURS]:
                raise AssertionError(
                    f"stock Django answers {answers[STOCK]!r}, "
                    f"django-async-fast {answers[OURS]!r}"
                )
        run(close_pools())
    return turns
