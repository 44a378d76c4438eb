"""How often each step calls what a tool hooks in: in stock Django, in a block, in threads."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any
from unittest import mock

from django.db import connection

from django_async_fast import alist, new_connection, run_sync
from tests.support.sql import execute
from tests.support.without_seams import stock
from tests.testapp.models import Tag


def stream() -> Any:
    return Tag.objects.order_by("pk")


TWO_ROWS = "SELECT 1 UNION SELECT 2"
# Each step is done so often: a statement may be Django's, learnt, then known.
TIMES = 4
STEPS: dict[str, tuple[Callable[[], Any], Callable[[], Awaitable[Any]]]] = {
    "list": (lambda: list(Tag.objects.all()), lambda: alist(Tag.objects.all())),
    "get": (lambda: Tag.objects.get(name="a"), lambda: Tag.objects.aget(name="a")),
    "tuples": (
        lambda: list(Tag.objects.values_list("name")),
        lambda: alist(Tag.objects.values_list("name")),
    ),
    "iterator": (
        lambda: list(stream().iterator()),
        lambda: alist(stream().aiterator()),
    ),
    "raw": (
        lambda: list(Tag.objects.raw("SELECT * FROM testapp_tag")),
        lambda: run_sync(list, Tag.objects.raw("SELECT * FROM testapp_tag")),
    ),
    "cursor": (lambda: execute(TWO_ROWS), lambda: run_sync(execute, TWO_ROWS)),
    "count": (lambda: Tag.objects.count(), lambda: Tag.objects.acount()),
    "exists": (lambda: Tag.objects.exists(), lambda: Tag.objects.aexists()),
    "update": (
        lambda: Tag.objects.update(name="a"),
        lambda: Tag.objects.aupdate(name="a"),
    ),
    "create": (
        lambda: Tag.objects.create(name="b").delete(),
        lambda: run_sync(lambda: Tag.objects.create(name="b").delete()),
    ),
    "refresh": (
        lambda: Tag.objects.get().refresh_from_db(),
        lambda: run_sync(lambda: Tag.objects.get().refresh_from_db()),
    ),
}


def counts(seen: list[str]) -> dict[str, int]:
    """Return how often each step has come to what is hooked, in synchronous code."""
    found = {}
    for name, (step, _) in STEPS.items():
        seen.clear()
        for _ in range(TIMES):
            step()
        found[name] = len(seen)
    return found


async def counts_of_coroutines(seen: list[str]) -> dict[str, int]:
    found = {}
    for name, (_, step) in STEPS.items():
        seen.clear()
        for _ in range(TIMES):
            await step()
        found[name] = len(seen)
    return found


@contextmanager
def hooked(owner: Any, name: str, seen: list[str]) -> Iterator[None]:
    found = getattr(owner, name)

    @wraps(found)
    def outer(*args: Any, **kwargs: Any) -> Any:
        seen.append(name)
        return found(*args, **kwargs)

    with mock.patch.object(owner, name, outer):
        yield


async def sees_each_get(installed: Callable[[], dict[str, int]]) -> None:
    expected = await everywhere(installed)
    assert expected["get"] == TIMES


async def everywhere(installed: Callable[[], dict[str, int]]) -> dict[str, int]:
    """Assert that as much is counted in a thread and in a block as in stock."""
    expected = await in_stock(installed)
    assert await in_thread(installed) == expected
    async with new_connection():
        await Tag.objects.acount()
        assert await run_sync(installed) == expected
    return expected


async def in_stock(installed: Callable[[], dict[str, int]]) -> dict[str, int]:
    """Return what is counted without the package."""

    def expect() -> dict[str, int]:
        with stock():
            return installed()

    return dict(await in_thread(expect))


async def in_thread(function: Callable[[], Any]) -> Any:
    """Call it with the thread's own connection, whatever block is around."""

    def call() -> Any:
        connection.ensure_connection()
        try:
            return function()
        finally:
            connection.close()

    return await asyncio.to_thread(call)
