"""Tools show what is in the frames around a query; in ours nothing asks another one."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.db.models import Prefetch, QuerySet

from django_async_fast import alist, new_connection, run_sync
from tests.testapp.models import Author, Book


@pytest.fixture(autouse=True)
def _library() -> None:
    author = Author.objects.create(pk=1, name="a")
    Book.objects.create(pk=1, title="t", author=author)


def show(frame: Any, shown: list[str]) -> None:
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("django_async_fast"):
            shown.append(f"{module}.{frame.f_code.co_name}")
            for value in list(frame.f_locals.values()):
                repr(value)
        frame = frame.f_back


@contextmanager
def showing(queries: list[str], shown: list[str]) -> Iterator[None]:
    """As debug_toolbar has it: with each query, the locals of the frames around it."""
    at: list[str] = []

    def wrapper(execute: Any, sql: str, *args: Any) -> Any:
        assert not at, f"a local of {shown[-1]} asks the database: {sql}"
        queries.append(sql)
        at.append(sql)
        try:
            show(sys._getframe(1), shown)
        finally:
            at.clear()
        return execute(sql, *args)

    with connection.execute_wrapper(wrapper):
        yield


def related() -> Any:
    return Author.objects.prefetch_related(Prefetch("books", Book.objects.all()))


STEPS: dict[str, Callable[[], Any]] = {
    "list": lambda: list(Book.objects.order_by("pk")),
    "tuples": lambda: list(Book.objects.values_list("title")),
    "iterator": lambda: list(Book.objects.order_by("pk").iterator()),
    "get": lambda: Book.objects.get(pk=1),
    "get a related one": lambda: Book.objects.get(author=Author(pk=1)),
    "get of a queryset": lambda: Book.objects.get(author__in=Author.objects.all()),
    "get, the first": lambda: Book.objects.get(title="t"),
    "first": lambda: Book.objects.first(),
    "count": lambda: Book.objects.count(),
    "raw": lambda: list(Book.objects.raw(f"SELECT * FROM {Book._meta.db_table}")),
    "refresh": lambda: Book(pk=1).refresh_from_db(),
    "manager": lambda: list(Author(pk=1).books.all()),
    "prefetch": lambda: list(related()),
    "update": lambda: Book.objects.update(title="t"),
    "declined": lambda: list(
        Book.objects.values("pk").union(Author.objects.values("pk"))
    ),
}


async def all_of(rows: Any) -> Any:
    return [row async for row in rows]


COROUTINES: dict[str, Callable[[], Any]] = {
    "async for": lambda: all_of(Book.objects.order_by("pk")),
    "tuples": lambda: all_of(Book.objects.values_list("title")),
    "aiterator": lambda: all_of(Book.objects.order_by("pk").aiterator()),
    "aget": lambda: Book.objects.aget(pk=1),
    "aget of a queryset": lambda: Book.objects.aget(author__in=Author.objects.all()),
    "afirst": lambda: Book.objects.afirst(),
    "acount": lambda: Book.objects.acount(),
    "arefresh": lambda: Book(pk=1).arefresh_from_db(),
    "manager": lambda: all_of(Author(pk=1).books.all()),
    "prefetch": lambda: all_of(related()),
    "alist": lambda: alist(Book.objects.order_by("pk")),
}


def shown_by(step: Callable[[], Any]) -> list[str]:
    queries: list[str] = []
    shown: list[str] = []
    for _ in range(2):
        with showing(queries, shown):
            step()
    assert len(queries) >= 2
    return shown


@pytest.mark.parametrize("name", STEPS)
def test_in_synchronous_code(name: str) -> None:
    shown_by(STEPS[name])


@pytest.mark.parametrize("name", STEPS)
async def test_on_the_bridge(name: str) -> None:
    async with new_connection():
        assert await run_sync(shown_by, STEPS[name])


@pytest.mark.parametrize("name", COROUTINES)
async def test_in_a_coroutine(name: str) -> None:
    queries: list[str] = []
    shown: list[str] = []
    async with new_connection() as conn:
        await conn.aensure_connection()
        for _ in range(2):
            async with bridged(showing(queries, shown)):
                await COROUTINES[name]()
    assert len(queries) >= 2
    assert shown


class bridged:
    """Enter and leave a synchronous context on the bridge, whose connection it means."""

    def __init__(self, context: Any) -> None:
        self.context = context

    async def __aenter__(self) -> None:
        await run_sync(self.context.__enter__)

    async def __aexit__(self, *exc: object) -> None:
        await run_sync(self.context.__exit__, *exc)


def test_the_way_of_a_get_is_taken() -> None:
    """In these frames there is a queryset, elsewhere."""
    assert any("execution" in each for each in shown_by(STEPS["get"]))
    assert QuerySet.get.__code__.co_filename.endswith("querysets/compiled/execution.py")
