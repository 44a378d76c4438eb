"""Who takes part: one file each, found by its name.

A contender's methods are named after the cases of the suites; `case__variant` is
another way of its own to do the same. Nothing of what a contender needs is imported
before `open()`: the process that collects the cases has none of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from bench.shop import dataset

if TYPE_CHECKING:
    from bench.harness.timed_run import TimedRun

# The order of the tables.
NAMES = (
    "wire",
    "django_async_fast",
    "stock",
    "asyncpg",
    "psycopg",
    "sqlalchemy",
    "tortoise",
    "piccolo",
    "oxyde",
    "django_async_backend",
    "pages_fast",
    "pages_asgi",
    "pages_wsgi",
    "pages_wsgi_fast",
    "pages_starlette",
    "pages_starlette_asyncpg",
)

# The queries of `bench/shop/queries.py`, which only a process with Django imports.
QUERY_NAMES = (
    *("get", "first", "count", "exists", "page", "values", "flat", "pk_in"),
    *("icontains", "join", "q_or", "annotate", "related", "prefetch", "update", "save"),
    *("create", "get_or_create", "never_again", "first_time", "first_of_model"),
)

# The writes of `bench/shop/bulk.py`, with their sizes.
BULK_WRITES = {
    "create": (1, 10, 2_000, 100_000),
    "update": (200, 2_000, 10_000),
    "find": (10_000,),
}


class Contender:
    """What all have in common."""

    title = ""
    # Distributions without which it cannot take part; their versions are recorded.
    packages: tuple[str, ...] = ()
    # Contenders with the same name here share a process. Whoever changes Django,
    # or must have it unchanged, has one of its own.
    process = "shared"

    def __init__(self, dsn: str, pool_size: int) -> None:
        self.dsn = dsn
        self.pool_size = pool_size

    async def open(self) -> None:
        """Import what is needed, connect, and fill the pools."""

    def plain(self, row: Any) -> tuple[Any, ...]:
        return dataset.plain(row)

    def plain_related(self, row: Any) -> tuple[Any, ...]:
        return dataset.plain_related(row, self.plain(row))


class GetsByKey(Contender):
    """Has `_get(key)`, which takes a connection from the contender's own pool."""

    async def _get(self, key: int) -> Any:
        raise NotImplementedError

    async def get_by_key(self, timed: TimedRun) -> None:
        await timed.repeat(self._get)

    async def gets_side_by_side(self, timed: TimedRun) -> None:
        await timed.tasks(self._get)

    async def units_of_work(self, timed: TimedRun) -> None:
        """Four gets, each on a connection of its own."""

        async def unit(key: int) -> list[Any]:
            return [await self._get(k) for k in timed.unit_keys(key)]

        await timed.tasks(unit)


def load(name: str) -> type[Contender]:
    return import_module(f"bench.contenders.{name}").This


def missing(contender: type[Contender]) -> str:
    """Return the first of its packages that is not installed, or ''."""
    for package in contender.packages:
        try:
            version(package)
        except PackageNotFoundError:
            return package
    return ""


def entrants(case: str) -> Iterator[tuple[str, str]]:
    """Yield (contender, method) for each way to take part in `case`."""
    for name in NAMES:
        for method in dir(load(name)):
            if method == case or method.startswith(f"{case}__"):
                yield name, method


def label(name: str, method: str) -> str:
    """Return how an entrant is called: 'asyncpg:cursor'."""
    variant = method.partition("__")[2].replace("_", "-")
    return ":".join(filter(None, (name.replace("_", "-"), variant)))
