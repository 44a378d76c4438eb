"""Reads of several tasks as one pipeline: as one after the other, whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import psycopg
import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    connection,
    transaction,
)
from django.db.models import Count
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_async_fast import new_connection, run_sync
from django_async_fast.drivers.psycopg.due_statements import PIPELINES
from django_async_fast.drivers.psycopg.read_pipelines import ReadPipeline
from django_async_fast.tasks.gate_errors import ScopeTimeout
from tests.support.configured import (
    POOL_SIZE,
    configured,
    pool_is_whole,
    pool_options,
)
from tests.support.every_await import HOWS, MOST, Closed, Steps, run
from tests.testapp.models import Author, Book, Everything, Tag, Unique

from .conftest import Watch, connected

pytestmark = [
    pytest.mark.core,
    pytest.mark.skipif(not PIPELINES, reason="libpq has no pipelines"),
]

TASKS = 8


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many reads each pipeline has been sent with."""
    counts: list[int] = []

    def counting(self: ReadPipeline, reads: list[Any]) -> Any:
        counts.append(len(reads))
        return exchange(self, reads)

    exchange = ReadPipeline._exchange
    monkeypatch.setattr(ReadPipeline, "_exchange", counting)
    return counts


async def fill(count: int = TASKS) -> None:
    """Make authors, and have the statements that read them known."""
    async with new_connection():
        await Author.objects.abulk_create(Author(name=str(i)) for i in range(count))
        for _ in range(3):
            await read(0)


async def read(number: int) -> str:
    return (await Author.objects.aget(name=str(number))).name


async def read_all(count: int = TASKS) -> list[str]:
    return await asyncio.gather(*map(read, range(count)))


async def ends(tasks: list[Any]) -> list[Any]:
    return await asyncio.gather(*tasks, return_exceptions=True)


# ----- which


async def test_those_that_wait_go_together(sent: list[int]) -> None:
    await fill()
    async with new_connection():
        assert await read_all() == [str(i) for i in range(TASKS)]
        # The first had gone already.
        assert sent == [TASKS - 1]
        assert await read_all() == [str(i) for i in range(TASKS)]
    assert sent == [TASKS - 1] * 2


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


async def test_order_is_kept_around_other_calls(sent: list[int]) -> None:
    def increment() -> int:
        row = Unique.objects.get(key="k")
        row.value += 1
        row.save()
        return row.value

    async def value() -> int:
        return (await Unique.objects.aget(key="k")).value

    async with new_connection():
        await Unique.objects.acreate(key="k")
        for _ in range(3):
            await value()
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
    async def value() -> int:
        return (await Unique.objects.aget(key="k")).value

    async with new_connection():
        await Unique.objects.acreate(key="k")
        for _ in range(3):
            await value()
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


# ----- what fails


async def test_an_error_is_of_one_only(sent: list[int]) -> None:
    async def match(pattern: str) -> int:
        return await Author.objects.filter(name__regex=pattern).acount()

    await fill()
    async with new_connection():
        for _ in range(3):
            await match("^[0-3]$")
        found = await ends([match(each) for each in ("1", "0", "(", "[0-3]", "(", "5")])
        assert [found[i] for i in (0, 1, 3, 5)] == [1, 1, 4, 1]
        assert all(isinstance(found[i], DatabaseError) for i in (2, 4))
        assert found[2] is not found[4]
        assert "regular expression" in str(found[4])
        assert await match("[0-3]") == 4
        assert not connection.in_atomic_block
    assert sent == [5]


async def test_a_session_that_is_killed(watch: Watch, sent: list[int]) -> None:
    await fill()
    with configured(OPTIONS=pool_options()):
        async with new_connection() as conn:
            for _ in range(3):
                await _tag()
            async with blocked(watch, "testapp_tag"):
                calls = [read(0), read(1), *(_tag() for _ in range(TASKS))]
                tasks = [asyncio.create_task(each) for each in calls]
                await until(lambda: tasks[1].done() and bool(watch.working()))
                watch.terminate(conn.connection.info.backend_pid)
                found = await ends(tasks)
        assert found[:2] == ["0", "1"]
        # Each has an error of its own.
        assert {type(each) for each in found[2:]} == {OperationalError}, found
        assert len(set(map(id, found[2:]))) == TASKS
        async with new_connection():
            assert await read(1) == "1"
        await pool_is_whole()
    assert sent == [TASKS + 1]


@asynccontextmanager
async def blocked(watch: Watch, table: str, skipped: int = 0) -> AsyncIterator[Any]:
    """Have whoever reads `table` wait for as long as this is open."""
    with psycopg.connect(watch.connection.info.dsn) as other:
        other.execute(f"LOCK TABLE {table}")
        yield other
        other.rollback()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.002)


async def _tag() -> bool:
    return await Tag.objects.filter(name="x").aexists()


async def test_one_is_cancelled_while_the_server_works_for_it(
    watch: Watch, sent: list[int]
) -> None:
    """The others wait for it, and are whole."""
    await fill()
    with configured():
        async with new_connection():
            for _ in range(3):
                await _tag()
            async with blocked(watch, "testapp_tag"):
                calls = [read(0), read(1), _tag(), read(2), read(3)]
                tasks = [asyncio.create_task(each) for each in calls]
                await until(lambda: tasks[1].done())
                tasks[2].cancel()
                tasks[4].cancel()
                await asyncio.wait([tasks[2], tasks[4]], timeout=5)
                assert tasks[2].cancelled()
                assert tasks[4].cancelled()
                assert not tasks[3].done()
            assert await ends([tasks[0], tasks[1], tasks[3]]) == ["0", "1", "2"]
            assert await read(4) == "4"
    assert sent == [4]


async def test_all_are_cancelled(watch: Watch, sent: list[int]) -> None:
    """The server stops, and the connection can be used."""
    await fill()
    with configured():
        async with new_connection() as conn:
            for _ in range(3):
                await _tag()
            async with blocked(watch, "testapp_tag"):
                both = asyncio.gather(read(0), *(_tag() for _ in range(3)))
                await until(lambda: bool(sent and watch.working()))
                pid = conn.connection.info.backend_pid
                both.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await both
                await watch.idle()
            assert await read(4) == "4"
            assert conn.connection.info.backend_pid == pid
    assert sent == [3]


@pytest.mark.parametrize("cancelled", [False, True])
async def test_who_waits_in_vain_is_told(
    watch: Watch,
    sent: list[int],
    cancelled: bool,
    settings_override: Callable[..., None],
) -> None:
    """As without a pipeline, and whoever they waited for goes on."""
    await fill()
    settings_override(DJANGO_ASYNC_FAST={"SCOPE_TIMEOUT": 0.3})
    with configured():
        async with new_connection() as conn:
            for _ in range(3):
                await _tag()
            async with blocked(watch, "testapp_tag"):
                calls = [read(0), read(1), _tag(), read(2), read(3)]
                tasks = [asyncio.create_task(each) for each in calls]
                await until(lambda: tasks[1].done())
                if cancelled:
                    tasks[2].cancel()
                for each in tasks[3:]:
                    here = r"This statement: .*test_read_pipelines\.py"
                    with pytest.raises(ScopeTimeout, match=here):
                        await asyncio.wait_for(each, 5)
                if cancelled:
                    # Nobody is left for whom the server would work.
                    await watch.idle()
                else:
                    await asyncio.sleep(0.4)
                    assert not tasks[2].done()
            found = await ends([tasks[2]])
            assert isinstance(found[0], asyncio.CancelledError) or found == [False]
            assert await read(4) == "4"
            assert conn.gate.pipeline is None
            assert conn.gate._timer is None
    assert sent == [4]


async def test_those_behind_have_patience_while_answers_come(
    sent: list[int], settings_override: Callable[..., None]
) -> None:
    slow = "CREATE TEMP VIEW testapp_tag AS SELECT 1 AS id, 'x' AS name"
    settings_override(DJANGO_ASYNC_FAST={"SCOPE_TIMEOUT": 0.3})
    async with new_connection() as conn:
        for _ in range(3):
            await _tag()
        async with conn.acursor() as cursor:
            await cursor.execute(f"{slow} FROM pg_sleep(0.1)")
        reads = (_tag() for _ in range(8))
        assert all(await asyncio.gather(*reads, run_sync(Tag.objects.exists)))
    assert sent == [7]


async def test_cancelled_before_they_are_sent(sent: list[int]) -> None:
    await fill()
    async with new_connection():
        for when in range(1, 8):
            tasks = [asyncio.create_task(read(i)) for i in range(TASKS)]
            for _ in range(when):
                await asyncio.sleep(0)
            tasks[1].cancel()
            tasks[3].cancel()
            found = await ends(tasks)
            for number, each in enumerate(found):
                if number not in (1, 3):
                    assert each == str(number)
            assert await read(2) == "2"


async def test_the_block_ends_before_them(sent: list[int]) -> None:
    await fill()
    async with new_connection():
        tasks = [asyncio.create_task(read(i)) for i in range(TASKS)]
        await asyncio.sleep(0)
    found = await ends(tasks)
    for number, each in enumerate(found):
        assert each == str(number) or isinstance(each, InterfaceError), each
    async with new_connection():
        assert await read_all() == [str(i) for i in range(TASKS)]


async def _one_broken_off(
    watch: Watch, which: int, how: str, settled: Callable[[], Awaitable[None]]
) -> None:
    await fill()
    for at in range(1, MOST):
        steps: list[Steps] = []

        async def broken_off(at: int = at) -> str:
            steps.append(Steps(read(which), at, how))
            name: str = await steps[0]
            return name

        async with new_connection():
            calls = [broken_off() if i == which else read(i) for i in range(5)]
            found = await ends([asyncio.create_task(each) for each in calls])
            for number, each in enumerate(found):
                if number != which:
                    assert each == str(number), (at, number)
            if steps[0].happened:
                expected = Closed if how == "close" else asyncio.CancelledError
                assert isinstance(found[which], expected), (at, found[which])
            else:
                assert found[which] == str(which)
            assert await read_all(3) == ["0", "1", "2"]
        await watch.idle()
        await settled()
        if not steps[0].happened:
            return
    raise AssertionError("it has no end")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("which", [1, 2, 4])
@pytest.mark.parametrize("how", HOWS)
def test_one_of_several_is_broken_off_at_every_await(
    watch: Watch, how: str, which: int, loop: str
) -> None:
    _, options, settled = connected(watch, loop)
    with configured(OPTIONS=options):
        run(loop, _one_broken_off(watch, which, how, settled))


async def _all_broken_off(watch: Watch, how: str) -> None:
    await fill()
    for at in range(1, MOST):
        steps: list[Steps] = []

        async def broken_off(number: int, at: int = at) -> str:
            steps.append(Steps(read(number), at, how))
            name: str = await steps[-1]
            return name

        async with new_connection():
            tasks = [asyncio.create_task(broken_off(i)) for i in range(5)]
            found = await ends(tasks)
            for number, each in enumerate(found):
                assert each == str(number) or isinstance(
                    each, (Closed, asyncio.CancelledError, DatabaseError)
                ), (at, each)
        await watch.idle()
        await pool_is_whole()
        if not any(each.happened for each in steps):
            return
    raise AssertionError("it has no end")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("how", HOWS)
def test_all_are_broken_off_at_every_await(watch: Watch, how: str, loop: str) -> None:
    with configured(OPTIONS=pool_options(max_size=POOL_SIZE)):
        run(loop, _all_broken_off(watch, how))


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
@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_random_mixes_are_as_one_after_the_other(
    sent: list[int], operations: list[tuple[str, int]]
) -> None:
    reads = [each for each in operations if each[0] not in ("create", "function")]
    asyncio.run(_mixed(operations + reads))
