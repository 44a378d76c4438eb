"""Every asynchronous method does what its synchronous twin does: same result, same SQL.

Both run on the same generated rows, each in a transaction that is undone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction
from django.db.models import Count, F, Max, Q
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_async_fast import new_connection
from tests.testapp.models import Author, Book, Tag, Unique

# Savepoints and cursors carry the number of the thread and of their kind.
NUMBERED = re.compile(r"\b(s\d+_x\d+|_django_curs_\w+)\b")

rows = st.lists(
    st.tuples(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
        st.integers(0, 2**31 - 1),
        st.booleans(),
    ),
    max_size=8,
)

# Name of the method -> how to call it, given the manager of Book.
CALLS: dict[str, Callable[[Any, str], Any]] = {
    "aggregate": lambda m, a: getattr(m, f"{a}aggregate")(
        n=Count("pk"), top=Max("pages")
    ),
    "bulk_create": lambda m, a: getattr(m, f"{a}bulk_create")(
        [Book(title="x", author=Author.shared), Book(title="y", author=Author.shared)]
    ),
    "contains": lambda m, a: getattr(m.all(), f"{a}contains")(Book(pk=1)),
    "count": lambda m, a: getattr(m.filter(pages__gt=10), f"{a}count")(),
    "create": lambda m, a: getattr(m, f"{a}create")(title="new", author=Author.shared),
    "delete": lambda m, a: getattr(m.filter(in_print=True), f"{a}delete")(),
    "earliest": lambda m, a: getattr(m, f"{a}earliest")("title", "pk"),
    "exists": lambda m, a: getattr(m.filter(title=""), f"{a}exists")(),
    "explain": lambda m, a: getattr(m.all(), f"{a}explain")(format="text"),
    "first": lambda m, a: getattr(m.order_by("-pages", "pk"), f"{a}first")(),
    "get": lambda m, a: getattr(m, f"{a}get")(Q(pages__gte=0)),
    "get_or_create": lambda m, a: getattr(m, f"{a}get_or_create")(
        title="new", defaults={"author": Author.shared}
    ),
    "in_bulk": lambda m, a: getattr(m, f"{a}in_bulk")(),
    "last": lambda m, a: getattr(m.all(), f"{a}last")(),
    "latest": lambda m, a: getattr(m, f"{a}latest")("pages", "pk"),
    "update": lambda m, a: getattr(m.filter(pages__lt=2**30), f"{a}update")(
        pages=F("pages") + 1
    ),
    "update_or_create": lambda m, a: getattr(m, f"{a}update_or_create")(
        title="new", defaults={"pages": 7}, create_defaults={"author": Author.shared}
    ),
}


def told(result: Any) -> Any:
    """Return a result in comparable form."""
    if isinstance(result, Book):
        return [(k, v) for k, v in result.__dict__.items() if k != "_state"]
    if isinstance(result, (list, tuple)):
        return [told(each) for each in result]
    if isinstance(result, dict):
        return {key: told(value) for key, value in result.items()}
    return result


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return told(call())
    except Exception as exc:
        return type(exc), str(exc)


def said(queries: CaptureQueriesContext) -> list[str]:
    return [NUMBERED.sub("#", query["sql"]) for query in queries]


def reset_keys() -> str:
    """A sequence is not rolled back: both twins are to count from the same number."""
    return "ALTER SEQUENCE testapp_book_id_seq RESTART WITH 1000"


def synchronously(name: str) -> tuple[Any, list[str]]:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(reset_keys())
        with CaptureQueriesContext(connection) as queries:
            result = outcome(lambda: CALLS[name](Book.objects, ""))
        transaction.set_rollback(True)
    return result, said(queries)


async def asynchronously(name: str) -> tuple[Any, list[str]]:
    async with new_connection() as conn, transaction.atomic():
        async with conn.acursor() as cursor:
            await cursor.execute(reset_keys())
        with CaptureQueriesContext(conn) as queries:
            try:
                result = told(await CALLS[name](Book.objects, "a"))
            except Exception as exc:
                result = type(exc), str(exc)
        transaction.set_rollback(True)
    return result, said(queries)


@pytest.mark.parametrize("name", CALLS)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(books=rows)
def test_twins(name: str, books: list[tuple[str, int, bool]]) -> None:
    Book.objects.all().delete()
    Author.shared, _ = Author.objects.get_or_create(name="shared")
    for title, pages, in_print in books:
        Book.objects.create(
            title=title, pages=pages, in_print=in_print, author=Author.shared
        )
    assert async_to_sync(asynchronously)(name) == synchronously(name)


def test_instance_methods() -> None:
    def work() -> list[Any]:
        tag = Tag(name="a")
        tag.save()
        Tag.objects.filter(pk=tag.pk).update(name="b")
        tag.refresh_from_db()
        found = [tag.name]
        found.append(tag.delete())
        return found

    async def awork() -> list[Any]:
        async with new_connection():
            tag = Tag(name="a")
            await tag.asave()
            await Tag.objects.filter(pk=tag.pk).aupdate(name="b")
            await tag.arefresh_from_db()
            found = [tag.name]
            found.append(await tag.adelete())
            return found

    assert async_to_sync(awork)() == work()


def test_bulk_upserts() -> None:
    def make() -> list[Unique]:
        return [Unique(key="a", value=1), Unique(key="b", value=2)]

    upsert = {
        "update_conflicts": True,
        "unique_fields": ["key"],
        "update_fields": ["value"],
    }
    ignore = {"ignore_conflicts": True}

    async def awork(options: dict[str, Any]) -> list[tuple[str, int]]:
        async with new_connection(force_rollback=True):
            await Unique.objects.abulk_create(make())
            await Unique.objects.abulk_create(make(), **options)
            await Unique.objects.abulk_update(
                [u async for u in Unique.objects.all()], ["value"]
            )
            return [
                row
                async for row in Unique.objects.order_by("key").values_list(
                    "key", "value"
                )
            ]

    def work(options: dict[str, Any]) -> list[tuple[str, int]]:
        with transaction.atomic():
            Unique.objects.bulk_create(make())
            Unique.objects.bulk_create(make(), **options)
            Unique.objects.bulk_update(Unique.objects.all(), ["value"])
            found = list(Unique.objects.order_by("key").values_list("key", "value"))
            transaction.set_rollback(True)
            return found

    for options in (upsert, ignore):
        assert async_to_sync(awork)(options) == work(options)
