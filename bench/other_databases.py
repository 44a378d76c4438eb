"""Databases other than PostgreSQL: stock Django and a block, in turns.

    python -m bench.other_databases [--rounds 15]

Each round is a fresh process of each, with a SQLite file of its own in WAL mode; a case
is the quickest of a process's repetitions, in processor time. A row has ten columns,
four of which Django converts.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

WAYS = "stock", "block"
ROWS = 1000
LISTED = 200
REPETITIONS = 12

Case = tuple[Callable[[], Awaitable[None]], int]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.other_databases")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(asyncio.run(_measure(options.way))))
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way in WAYS:
            found[way].append(_in_a_process(way))
    print(f"{'SQLite, us of processor time':32}{'stock':>9}{'block':>9}{'ratio':>8}")
    for case in found["stock"][0]:
        stock, block = (median(each[case] for each in found[way]) for way in WAYS)
        print(f"{case:32}{stock:9.1f}{block:9.1f}{stock / block:8.2f}")


def _in_a_process(way: str) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.other_databases", "--way", way]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


async def _measure(way: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        row = _table(way, Path(folder))
        if way == "stock":
            return await _run(_cases(row))
        from django_async_fast import new_connection

        async with new_connection():
            return await _run(_cases(row))


def _table(way: str, folder: Path) -> Any:
    import django
    from django.conf import settings

    init_command = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"
    database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": folder / "rows",
        "OPTIONS": {"init_command": init_command},
    }
    installed = [] if way == "stock" else ["django_async_fast"]
    settings.configure(
        DATABASES={"default": database}, INSTALLED_APPS=installed, USE_TZ=True
    )
    django.setup()
    from asgiref.sync import async_to_sync, sync_to_async  # noqa: F401
    from django.db import models

    class Row(models.Model):
        name = models.CharField(max_length=50)
        text = models.TextField()
        age = models.IntegerField()
        big = models.BigIntegerField()
        flag = models.BooleanField()
        price = models.DecimalField(max_digits=10, decimal_places=2)
        score = models.FloatField()
        at = models.DateTimeField()
        day = models.DateField()

        class Meta:
            app_label = "bench"

    _in_a_thread(_fill, Row)
    return Row


def _in_a_thread(function: Callable[..., None], *args: Any) -> None:
    """Call synchronous code of Django's outside of the loop's thread."""
    from threading import Thread

    thread = Thread(target=function, args=args)
    thread.start()
    thread.join()


def _fill(row: Any) -> None:
    from django.db import connection

    with connection.schema_editor() as editor:
        editor.create_model(row)
    at = dt.datetime(2026, 11, 28, 12, 34, 56, tzinfo=dt.UTC)
    row.objects.bulk_create(
        row(
            name=f"name {i}",
            text="x" * 40,
            age=i,
            big=i << 33,
            flag=i % 2,
            price=Decimal(i) / 100,
            score=i / 3,
            at=at + dt.timedelta(seconds=i, microseconds=i),
            day=at.date() + dt.timedelta(i),
        )
        for i in range(ROWS)
    )
    connection.close()


def _cases(row: Any) -> dict[str, Case]:
    async def gets() -> None:
        for i in range(100):
            await row.objects.aget(pk=1 + i)

    async def instances() -> None:
        assert len([r async for r in row.objects.filter(pk__lte=LISTED)]) == LISTED

    async def dicts() -> None:
        rows = row.objects.filter(pk__lte=LISTED).values()
        assert len([each async for each in rows]) == LISTED

    async def counts() -> None:
        for _ in range(20):
            assert await row.objects.filter(pk__lte=LISTED).acount() == LISTED

    return {
        "aget() by key": (gets, 100),
        f"{LISTED} instances": (instances, 1),
        f"{LISTED} dicts": (dicts, 1),
        "acount()": (counts, 20),
    }


async def _run(cases: dict[str, Case]) -> dict[str, float]:
    found = {}
    for name, (case, times) in cases.items():
        for _ in range(3):
            await case()
        gc.collect()
        took = []
        for _ in range(REPETITIONS):
            began = time.process_time_ns()
            await case()
            took.append(time.process_time_ns() - began)
        found[name] = min(took) / times / 1000
    return found


if __name__ == "__main__":
    main()
