"""Reads of several tasks as one pipeline: as one after the other, whatever fails."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db import connection, transaction
from django.db.models import Count
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_async_fast import new_connection, run_sync
from django_async_fast.drivers.psycopg.due_statements import PIPELINES
from tests.testapp.models import Author, Book, Everything, Unique

from .reading_together import TASKS, ends, fill, read, read_all

pytestmark = [
    pytest.mark.core,
    pytest.mark.skipif(not PIPELINES, reason="libpq has no pipelines"),
]


async def test_those_that_wait_go_together(sent: list[int]) -> None:
    await fill()
    async with new_connection():
        assert await read_all() == [str(i) for i in range(TASKS)]
        # The first had gone already.
        assert sent == [TASKS - 1]
        assert await read_all() == [str(i) for i in range(TASKS)]
    assert sent == [TASKS - 1] * 2


async def test_after_rows_that_were_streamed(sent: list[int]) -> None:
    def stream() -> int:
        with connection.cursor() as cursor:
            return len(list(cursor.stream("SELECT 1 UNION SELECT 2")))

    await fill()
    async with new_connection():
        for _ in range(2):
            found = await ends(
                [asyncio.create_task(run_sync(stream)), *map(read, range(3))]
            )
            assert found == [2, "0", "1", "2"]
    assert sent == [3] * 2


CALLS: dict[str, Callable[[], Awaitable[Any]]] = {
    "aget": lambda: Author.objects.aget(name="1"),
    "acount": lambda: Author.objects.filter(name__lt="3").acount(),
    "aexists": lambda: Author.objects.filter(name="1").aexists(),
    "list": lambda: _list(Author.objects.filter(name__lt="3").order_by("name")),
    "none": lambda: _missing(),
    "afirst": lambda: Author.objects.order_by("name").afirst(),
    "afirst of all": lambda: Author.objects.afirst(),
    "alast": lambda: Author.objects.order_by("name").alast(),
    "aearliest": lambda: Author.objects.aearliest("name"),
    "alatest": lambda: Author.objects.alatest("name"),
    "aget of values": lambda: Author.objects.values("name").aget(name="1"),
    "values": lambda: _list(Author.objects.order_by("name").values("name")),
    "values_list": lambda: _list(Author.objects.order_by("name").values_list("name")),
    "flat": lambda: _list(Author.objects.values_list("name", flat=True)),
    "aaggregate": lambda: Author.objects.aaggregate(Count("pk")),
}


async def _list(queryset: Any) -> list[Any]:
    return [row async for row in queryset]


async def _missing() -> str:
    with pytest.raises(ObjectDoesNotExist):
        await Author.objects.aget(name="missing")
    return "missing"


@pytest.mark.parametrize("name", CALLS)
async def test_each_kind_of_read(sent: list[int], name: str) -> None:
    await fill()
    async with new_connection():
        for _ in range(3):
            expected = await CALLS[name]()
        assert (
            await asyncio.gather(*(CALLS[name]() for _ in range(3))) == [expected] * 3
        )
    assert sent == [2]


async def value() -> int:
    return (await Unique.objects.aget(key="k")).value


async def make_value() -> None:
    """Make what `value()` reads, and have that known."""
    await Unique.objects.acreate(key="k")
    for _ in range(3):
        await value()


async def test_order_is_kept_around_other_calls(sent: list[int]) -> None:
    def increment() -> int:
        row = Unique.objects.get(key="k")
        row.value += 1
        row.save()
        return row.value

    async with new_connection():
        await make_value()
        found = await asyncio.gather(
            *(value(), value(), value(), run_sync(increment), value(), value()),
            *(run_sync(increment), value(), run_sync(increment), value(), value()),
        )
    assert found == [0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3]
    assert sent == [2, 2, 2]


async def test_a_shared_queryset_is_read_once(sent: list[int]) -> None:
    await fill()
    async with new_connection():
        for _ in range(3):
            await _list(Author.objects.order_by("name"))
        shared = Author.objects.order_by("name")
        first, *others = await asyncio.gather(*(_list(shared) for _ in range(4)))
        assert all(other[0] is first[0] for other in others)
    assert sent == []


NOISE = """
CREATE FUNCTION pg_temp.noise(text) RETURNS text LANGUAGE plpgsql VOLATILE AS
    $$ BEGIN RAISE WARNING '%', $1; RETURN $1; END $$;
CREATE TEMP VIEW testapp_author AS
    SELECT id, pg_temp.noise(name) AS name, mentor_id FROM public.testapp_author
"""
request: ContextVar[str] = ContextVar("request", default="nobody's")


async def test_a_notice_is_handled_in_the_context_of_who_asks(sent: list[int]) -> None:
    async def ask(number: int) -> None:
        request.set(str(number))
        await read(number)

    await fill()
    seen: list[tuple[str, str]] = []
    async with new_connection() as conn:
        async with conn.acursor() as cursor:
            await cursor.execute(NOISE)
        conn.connection.add_notice_handler(
            lambda notice: seen.append((notice.message_primary, request.get()))
        )
        await asyncio.gather(*map(ask, range(TASKS)))
    assert sent == [TASKS - 1]
    rows = [str(i) for i in range(TASKS)]
    assert seen == [(row, asker) for asker in rows for row in rows]


async def test_not_in_a_transaction(sent: list[int]) -> None:
    await fill()
    async with new_connection():
        async with transaction.atomic():
            assert await read_all() == [str(i) for i in range(TASKS)]
        assert sent == []


async def test_not_where_somebody_watches(sent: list[int]) -> None:
    seen: list[str] = []

    def watch(execute: Any, sql: str, *args: Any) -> Any:
        seen.append("before")
        try:
            return execute(sql, *args)
        finally:
            seen.append("after")

    await fill()
    async with new_connection() as conn:
        await read(0)
        with conn.execute_wrapper(watch):
            await read_all()
        assert seen == ["before", "after"] * TASKS
        with CaptureQueriesContext(conn) as captured:
            await read_all()
        assert len(captured) == TASKS
        assert sent == []


async def test_not_where_the_project_is_called_with_the_rows(
    sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with new_connection():
        await make_value()
        from django.db.models.signals import post_init

        def add(sender: Any, instance: Any, **kwargs: Any) -> None:
            Unique.objects.filter(key="k").update(value=instance.value + 1)

        post_init.connect(add, sender=Unique)
        try:
            found = await asyncio.gather(*(value() for _ in range(4)))
        finally:
            post_init.disconnect(add, sender=Unique)
    assert found == [0, 1, 2, 3]
    assert sent == []


async def test_not_what_is_prefetched_or_written_by_others(sent: list[int]) -> None:
    await fill()
    books = Author.objects.prefetch_related("books")
    async with new_connection():
        for _ in range(3):
            await books.aget(name="1")
        await asyncio.gather(*(books.aget(name=str(i)) for i in range(4)))
        assert sent == []


# ----- random mixes


def _increment() -> int:
    row = Unique.objects.get(key="k")
    row.value += 1
    row.save()
    return row.value


OPERATIONS: dict[str, Callable[[int], Awaitable[Any]]] = {
    "get": lambda n: Unique.objects.aget(key=f"{n}"),
    "get shared": lambda n: Unique.objects.aget(key="k"),
    "many": lambda n: Unique.objects.aget(value__gte=0),
    "count": lambda n: Unique.objects.filter(value__gte=n).acount(),
    "exists": lambda n: Unique.objects.filter(key=f"{n}").aexists(),
    "first": lambda n: Unique.objects.order_by("-value", "key").afirst(),
    "list": lambda n: _list(Unique.objects.filter(value__lte=n).order_by("key")),
    "error": lambda n: Unique.objects.filter(key__regex="(" * (n % 2)).acount(),
    "related": lambda n: _list(Book.objects.select_related("author")),
    "unknown": lambda n: Everything.objects.filter(**{f"pk__{LOOKUPS[n % 4]}": n}).acount(),
    "create": lambda n: Unique.objects.acreate(key=f"{n}", value=n),
    "update": lambda n: Unique.objects.filter(key=f"{n}").aupdate(value=n + 1),
    "function": lambda n: run_sync(_increment),
    "delete": lambda n: Unique.objects.filter(key=f"{n}").adelete(),
}  # fmt: skip
LOOKUPS = ["lt", "gt", "lte", "gte"]


def _described(outcome: Any) -> Any:
    if isinstance(outcome, BaseException):
        return type(outcome), str(outcome)
    if isinstance(outcome, list):
        return list(map(_described, outcome))
    if isinstance(outcome, Unique):
        return outcome.key, outcome.value
    return outcome


async def _one_by_one(calls: list[Awaitable[Any]]) -> list[Any]:
    return [(await ends([each]))[0] for each in calls]


async def _fresh() -> None:
    await Unique.objects.all().adelete()
    await Unique.objects.abulk_create([Unique(key="k"), Unique(key="1", value=1)])


async def _mixed(operations: list[tuple[str, int]]) -> None:
    calls = [partial(OPERATIONS[name], number) for name, number in operations]
    async with new_connection():
        await _fresh()
        expected = await _one_by_one([each() for each in calls])
        await _fresh()
        found = await ends([each() for each in calls])
    assert list(map(_described, found)) == list(map(_described, expected))


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(OPERATIONS)), st.integers(0, 3)),
        min_size=2,
        max_size=16,
    )
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_mixes_are_as_one_after_the_other(
    sent: list[int], operations: list[tuple[str, int]]
) -> None:
    reads = [each for each in operations if each[0] not in ("create", "function")]
    asyncio.run(_mixed(operations + reads))
