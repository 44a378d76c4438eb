"""Statements over a network: what waits for it, and how often.

    python -m bench.network [--ms 1] [--rounds 9]

A proxy holds back each byte for half of that round trip, which is added to what there
is. 20 gets one after the other, by `gather()` on one connection, and a save in
`atomic()`, each in stock Django and in a block: milliseconds, the median of the rounds,
in which they take turns.
"""

import argparse
import asyncio
import os
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from statistics import median

import django
from django.conf import settings

from tools.postgres import database, django_database, postgres

GETS = 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.network")
    parser.add_argument("--ms", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with postgres() as server, database(server, "network") as dsn:
        default = django_database(dsn)
        with delayed(default, options.ms / 2000) as port:
            far = default | {"HOST": "127.0.0.1", "PORT": port}
            settings.configure(
                DATABASES={"default": default, "far": far},
                INSTALLED_APPS=["django_async_fast", "django.contrib.contenttypes"],
            )
            django.setup()
            asyncio.run(_measure("default", "no network", options.rounds))
            asyncio.run(_measure("far", f"{options.ms:g} ms", options.rounds))
            os._exit(0)  # the proxy's threads have no end


@contextmanager
def delayed(target: dict[str, object], seconds: float) -> Iterator[int]:
    """Yield the port of a proxy that holds each byte back."""
    sys.setswitchinterval(0.0001)
    address = str(target["HOST"]), int(str(target["PORT"]))
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            client, _ = listening.accept()
            both = client, socket.create_connection(address)
            for each in both:
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, sink in (both, both[::-1]):
                _in_thread(_pump, source, sink, seconds)

    _in_thread(serve)
    yield listening.getsockname()[1]


def _in_thread(function: Callable[..., None], *args: object) -> None:
    threading.Thread(target=function, args=args, daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, seconds: float) -> None:
    queue: SimpleQueue[tuple[float, bytes]] = SimpleQueue()

    def send() -> None:
        while True:
            due, data = queue.get()
            time.sleep(max(0.0, due - time.perf_counter()))
            if not data:
                sink.close()
                return
            sink.sendall(data)

    _in_thread(send)
    while data := source.recv(1 << 18):
        queue.put((time.perf_counter() + seconds, data))
    queue.put((0.0, b""))


async def _measure(alias: str, title: str, rounds: int) -> None:
    from django.contrib.contenttypes.models import ContentType
    from django.core.management import call_command
    from django.db import transaction

    from django_async_fast import new_connection, run_sync
    from django_async_fast.transaction import atomic

    async def get(key: int) -> None:
        await ContentType.objects.using(alias).aget(pk=key)

    async def each_get() -> None:
        for _ in range(GETS):
            await get(row.pk)

    async def gathered() -> None:
        await asyncio.gather(*(get(row.pk) for _ in range(GETS)))

    async def save() -> None:
        async with atomic(using=alias):
            await row.asave(using=alias)

    def save_in_thread() -> None:
        with transaction.atomic(using=alias):
            row.save(using=alias)

    async def stock_save() -> None:
        await asyncio.to_thread(save_in_thread)

    await asyncio.to_thread(call_command, "migrate", database=alias, verbosity=0)
    row, _ = await ContentType.objects.using(alias).aget_or_create(app_label="network")
    cases: dict[str, tuple[Callable[[], Awaitable[None]], ...]] = {
        f"{GETS} gets, one after the other": (each_get, each_get),
        f"{GETS} gets, gather()": (gathered, gathered),
        "save in atomic()": (stock_save, save),
    }
    found: dict[str, tuple[list[float], list[float]]] = {}
    for _ in range(rounds + 3):
        for name, (stock, ours) in cases.items():
            spent = found.setdefault(name, ([], []))
            spent[0].append(await _clock(stock))
            async with new_connection(alias):
                await run_sync(ContentType.objects.using(alias).exists)
                spent[1].append(await _clock(ours))
    print(f"{title:32}{'stock':>8}{'block':>8}")
    for name, spent in found.items():
        stock, ours = (median(each[3:]) * 1000 for each in spent)
        print(f"{name:32}{stock:8.2f}{ours:8.2f}", flush=True)


async def _clock(function: Callable[[], Awaitable[None]]) -> float:
    before = time.perf_counter()
    await function()
    return time.perf_counter() - before


if __name__ == "__main__":
    main()
