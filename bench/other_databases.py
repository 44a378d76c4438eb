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
from collections.abc import Callable, Coroutine, Iterator
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

# What is asked for a turn, how often, and whether the last answer is right.
Case = tuple[Callable[[int], Any], int, Callable[[Any], bool]]


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
    return json.loads(done.stdout)


async def _measure(way: str) -> dict[str, float]:
    await asyncio.to_thread(_fill)
    from bench.shop.queries import Awaited, Now

    if way == "sync":
        return await asyncio.to_thread(_without_a_loop, _run(Now))
    if way == "stock":
        return await _run(Awaited)
    from django_async_fast import new_connection

    async with new_connection():
        return await _run(Awaited)


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


def _cases(do: Any) -> dict[str, Case]:
    from bench.shop.models import Person

    def listed() -> Any:
        return Person.objects.filter(pk__lte=LISTED)

    def get(turn: int) -> Any:
        return do.method("get", Person.objects, pk=1 + turn)

    return {
        "aget() by key": (get, 100, lambda found: found.pk == 100),
        f"{LISTED} instances": (lambda _: do.rows(listed()), 1, _are_listed),
        f"{LISTED} dicts": (lambda _: do.rows(listed().values()), 1, _are_listed),
        "acount()": (lambda _: do.method("count", listed()), 20, LISTED.__eq__),
    }


def _are_listed(rows: list[Any]) -> bool:
    return len(rows) == LISTED


async def _run(do: Any) -> dict[str, float]:
    figures = {}
    for name, (ask, times, is_right) in _cases(do).items():
        took = []
        for repetition in range(3 + REPETITIONS):
            if repetition == 3:
                gc.collect()
            began = time.process_time_ns()
            for turn in range(times):
                found = ask(turn)
                if hasattr(found, "__await__"):
                    found = await found
            took.append(time.process_time_ns() - began)
            assert is_right(found)
        figures[name] = min(took[3:]) / times / 1000
    return figures


def _without_a_loop(coroutine: Coroutine[Any, Any, dict[str, float]]) -> Any:
    """Run what awaits nothing, where Django's synchronous methods may be called."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value


if __name__ == "__main__":
    main()
