"""Databases other than PostgreSQL: stock Django and a block, in turns.

    python -m bench.other_databases [--database mariadb] [--rounds 15]

Each round is a fresh process of each way: stock Django's asynchronous methods, its
synchronous ones, and a block. SQLite has a file of its own in WAL mode; MariaDB (which
needs Debian's server, mysqlclient and asyncmy) is started once, on a socket. A case is
the quickest of a process's repetitions, in processor time of the client. A row has ten
columns, four of which Django converts on SQLite.
"""

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from bench.shop import dataset

WAYS = "stock", "sync", "block"
DATABASES = "sqlite", "mariadb"
ROWS = 1000
LISTED = 200
REPETITIONS = 12

Case = tuple[Callable[[], Awaitable[None] | None], int]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.other_databases")
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--at", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        _configure(options.way, options.database, options.at)
        print(json.dumps(asyncio.run(_measure(options.way))))
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with _database(options.database) as at:
        for _ in range(options.rounds):
            for way in WAYS:
                found[way].append(_in_a_process(way, options.database, at))
    _tell(options.database, found)


def _tell(database: str, found: dict[str, list[dict[str, float]]]) -> None:
    titles = "".join(f"{each:>9}" for each in (*WAYS, "/ stock", "/ sync"))
    print(f"{database + ', us of processor time':32}{titles}")
    for case in found["stock"][0]:
        took = [median(each[case] for each in found[way]) for way in WAYS]
        *others, block = took
        ratios = "".join(f"{each / block:9.2f}" for each in others)
        print(f"{case:32}{''.join(f'{each:9.1f}' for each in took)}{ratios}")


@contextmanager
def _database(kind: str) -> Iterator[Path]:
    """Yield a folder for a file, or the socket of a server."""
    with tempfile.TemporaryDirectory() as folder:
        if kind == "sqlite":
            yield Path(folder)
            return
        from tools.mysql import mariadb

        with mariadb(Path(folder)) as socket:
            yield Path(socket)


def _in_a_process(way: str, database: str, at: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.other_databases", "--way", way]
    command += ["--database", database, "--at", str(at)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


async def _measure(way: str) -> dict[str, float]:
    await asyncio.to_thread(_fill)
    if way == "sync":
        return await asyncio.to_thread(_without_a_loop, _run(_sync_cases()))
    if way == "stock":
        return await _run(_cases())
    from django_async_fast import new_connection

    async with new_connection():
        return await _run(_cases())


def _configure(way: str, database: str, at: Path) -> None:
    import django
    from django.conf import settings

    init_command = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"
    databases: dict[str, dict[str, Any]] = {
        "sqlite": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": at / "rows",
            "OPTIONS": {"init_command": init_command},
        },
        "mariadb": {
            "ENGINE": "django.db.backends.mysql",
            "NAME": "tests",
            "USER": "root",
            "HOST": str(at),
        },
    }
    settings.configure(
        DATABASES={"default": databases[database]},
        INSTALLED_APPS=[
            "bench.shop",
            *(["django_async_fast"] if way == "block" else []),
        ],
        USE_TZ=True,
    )
    django.setup()


def _fill() -> None:
    from django.db import connection

    from bench.shop.models import City, Company, Person

    models = City, Company, Person
    there = connection.introspection.table_names()
    with connection.schema_editor() as editor:
        for model in reversed(models):
            if model._meta.db_table in there:
                editor.delete_model(model)
        for model in models:
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


def _listed() -> Any:
    from bench.shop.models import Person

    return Person.objects.filter(pk__lte=LISTED)


def _cases() -> dict[str, Case]:
    from bench.shop.models import Person

    async def gets() -> None:
        for i in range(100):
            await Person.objects.aget(pk=1 + i)

    async def instances() -> None:
        assert len([each async for each in _listed()]) == LISTED

    async def dicts() -> None:
        assert len([each async for each in _listed().values()]) == LISTED

    async def counts() -> None:
        for _ in range(20):
            assert await _listed().acount() == LISTED

    return _named(gets, instances, dicts, counts)


def _sync_cases() -> dict[str, Case]:
    """Return the same with Django's synchronous methods."""
    from bench.shop.models import Person

    def gets() -> None:
        for i in range(100):
            Person.objects.get(pk=1 + i)

    def instances() -> None:
        assert len(list(_listed())) == LISTED

    def dicts() -> None:
        assert len(list(_listed().values())) == LISTED

    def counts() -> None:
        for _ in range(20):
            assert _listed().count() == LISTED

    return _named(gets, instances, dicts, counts)


def _named(gets: Any, instances: Any, dicts: Any, counts: Any) -> dict[str, Case]:
    return {
        "aget() by key": (gets, 100),
        f"{LISTED} instances": (instances, 1),
        f"{LISTED} dicts": (dicts, 1),
        "acount()": (counts, 20),
    }


async def _run(cases: dict[str, Case]) -> dict[str, float]:
    found = {}
    for name, (case, times) in cases.items():
        took = []
        for repetition in range(3 + REPETITIONS):
            if repetition == 3:
                gc.collect()
            began = time.process_time_ns()
            if (waiting := case()) is not None:
                await waiting
            took.append(time.process_time_ns() - began)
        found[name] = min(took[3:]) / times / 1000
    return found


def _without_a_loop(coroutine: Coroutine[Any, Any, dict[str, float]]) -> Any:
    """Run what awaits nothing, where Django's synchronous methods may be called."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value


if __name__ == "__main__":
    main()
