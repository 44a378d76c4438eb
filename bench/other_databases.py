"""Databases other than PostgreSQL: stock Django and a block, in turns.

    python -m bench.other_databases [--rounds 15]

Each round is a fresh process of each, with a SQLite file of its own in WAL mode; a case
is the quickest of a process's repetitions, in processor time. A row has ten columns,
four of which Django converts.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

from bench.shop import dataset

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
        _configure(way, Path(folder))
        await asyncio.to_thread(_fill)
        if way == "stock":
            return await _run(_cases())
        from django_async_fast import new_connection

        async with new_connection():
            return await _run(_cases())


def _configure(way: str, folder: Path) -> None:
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
        DATABASES={"default": database},
        INSTALLED_APPS=["bench.shop", *installed],
        USE_TZ=True,
    )
    django.setup()


def _fill() -> None:
    from django.db import connection

    from bench.shop.models import City, Company, Person

    with connection.schema_editor() as editor:
        for model in (City, Company, Person):
            editor.create_model(model)
    city = City.objects.create(name="City", country="AX")
    Company.objects.bulk_create(
        Company(pk=i, name="Company", rating=i % 10, city=city)
        for i in range(1, dataset.COMPANIES + 1)
    )
    Person.objects.bulk_create(
        Person(**dict(zip(dataset.COLUMNS, row, strict=True)))
        for row in dataset.people(ROWS)
    )
    connection.close()


def _cases() -> dict[str, Case]:
    from bench.shop.models import Person

    def listed() -> Any:
        return Person.objects.filter(pk__lte=LISTED)

    async def gets() -> None:
        for i in range(100):
            await Person.objects.aget(pk=1 + i)

    async def instances() -> None:
        assert len([each async for each in listed()]) == LISTED

    async def dicts() -> None:
        assert len([each async for each in listed().values()]) == LISTED

    async def counts() -> None:
        for _ in range(20):
            assert await listed().acount() == LISTED

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
