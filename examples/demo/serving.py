"""A site under uvicorn, served by Django's application and by the package's.

The page is a synchronous view behind startproject's middleware: a session, its user,
and 20 rows in a template. One server runs at a time, a process with eight connections;
32 clients ask again as soon as they have an answer.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench import served
from bench.harness.contender_processes import pinned, split_cpus
from bench.pages.client import HEADERS
from bench.shop import dataset
from examples.demo.streaming import table_of_two

PAGE = "site_sync"
CLIENTS, WARM_UP, TURN, TURNS = 32, 1.0, 2.5, 2


@dataclass
class Served:
    """What one application did."""

    server: served.Server
    requests: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def requests_a_second(self) -> float:
        return self.requests / self.seconds

    @property
    def cpu_us(self) -> float:
        return self.cpu_seconds / self.requests * 1e6


def run(dsn: str, progress: Any) -> tuple[Served, Served]:
    """Return what stock Django and the package did, in ten seconds of load."""
    dataset.create(dsn, dataset.QUICK_ROWS)
    served.prepare(dsn)
    native, stock = (Served(server) for server in served.SERVERS[:2])
    tenths = int(TURN * 10)
    task = progress.add_task("requests", total=2 * TURNS * tenths)
    others, own = split_cpus()
    with pinned(others):
        for _ in range(TURNS):
            for one in (stock, native):
                progress.update(task, description=one.server.title)
                with served.running(one.server, dsn, own) as (port, pid):
                    served.check(one.server, port, PAGE)
                    path = one.server.path(PAGE)
                    asyncio.run(load(port, path, WARM_UP, lambda: None))
                    cpu, begin = served.cpu_seconds(pid), time.perf_counter()
                    one.requests += asyncio.run(
                        load(port, path, TURN, lambda: progress.advance(task))
                    )
                    one.seconds += time.perf_counter() - begin
                    one.cpu_seconds += served.cpu_seconds(pid) - cpu
    return stock, native


async def load(port: int, path: str, seconds: float, tick: Callable[[], None]) -> int:
    """Return how many were answered. Raises ValueError if an answer is not a page."""
    answers = [0]
    clients = [asyncio.ensure_future(_ask(port, path, answers)) for _ in range(CLIENTS)]
    try:
        for _ in range(int(seconds * 10)):
            done, _pending = await asyncio.wait(clients, timeout=0.1)
            for each in done:
                each.result()
            tick()
        return answers[0]
    finally:
        for each in clients:
            each.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


async def _ask(port: int, path: str, answers: list[int]) -> None:
    """Ask for the page again and again, on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    try:
        while True:
            turn = answers[0]
            writer.write(f"GET {path}?turn={turn} HTTP/1.1\r\n{head}\r\n".encode())
            said = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            if " 200 " not in said.partition("\r\n")[0]:
                raise ValueError(said)
            length = said.partition("content-length:")[2].partition("\r\n")[0]
            await reader.readexactly(int(length))
            answers[0] += 1
    finally:
        writer.close()


def show(stock: Served, native: Served, console: Any) -> None:
    pair = (stock, native)
    ratio = native.requests_a_second / stock.requests_a_second
    title = "a page of a site: middleware, session, user, 20 rows"
    table = table_of_two(title, "stock ASGI")
    table.add_row(
        "requests per second", *(f"{one.requests_a_second:,.0f}" for one in pair)
    )
    table.add_row("ratio", "1.00", f"{ratio:.2f}")
    table.add_row("processor time each, us", *(f"{one.cpu_us:,.0f}" for one in pair))
    console.print(table)
    print(
        f"Of {CLIENTS} clients, in {TURNS} turns of {TURN} s each, on one processor;"
        f" the view is synchronous."
    )
    print(
        f"RESULT native_requests_per_s={native.requests_a_second:.0f}"
        f" stock_requests_per_s={stock.requests_a_second:.0f}"
        f" requests_ratio={ratio:.2f}"
    )
