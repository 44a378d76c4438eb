"""BEGIN and SAVEPOINT travel with the first statement after them."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import (
    DatabaseError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    connection,
    connections,
    transaction,
)
from django.test.utils import CaptureQueriesContext

from django_async_fast import new_connection, run_sync
from django_async_fast import transaction as our_transaction
from tests.support.cancelling import cancelled
from tests.testapp.models import Publisher, Tag

pytestmark = pytest.mark.core

_SENT = re.compile(r'^F\t.*(?:Query|Parse)\t (?:"" )?"([A-Z]+)')


class Wire:
    """What libpq has sent since the start of the trace, trip by trip."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def trips(self) -> list[str]:
        trips: list[list[str]] = []
        sending = False
        for line in self.path.read_text().splitlines():
            _, _, line = line.partition("\t") if line[:1].isdigit() else ("", "", line)
            if line.startswith("F") and not sending:
                trips.append([])
            sending = line.startswith("F")
            if (found := _SENT.match(line)) is not None:
                trips[-1].append(found[1])
        return [" ".join(trip) for trip in trips if trip]


@pytest.fixture
def traced(tmp_path: Path) -> Callable[[Any], Any]:
    @contextmanager
    def trace(conn: Any) -> Iterator[Wire]:
        path = tmp_path / "trace"
        pgconn = conn.connection.pgconn
        with path.open("w") as file:
            pgconn.trace(file.fileno())
            try:
                yield Wire(path)
            finally:
                pgconn.untrace()

    return trace


@asynccontextmanager
async def known_block() -> AsyncIterator[Any]:
    """A block to which the statements below are known."""
    async with new_connection() as conn:
        for number in range(3):
            tag = await Tag.objects.acreate(name=f"learnt-{number}")
            await tag.asave()
        await Tag.objects.all().adelete()
        yield conn


def told(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Exception as exc:
        return described(exc)


def described(exc: Exception) -> Any:
    cause: Any = exc.__cause__
    diag = cause.diag
    return (
        *(type(exc), type(cause), str(exc), diag.sqlstate),
        *(diag.statement_position, diag.constraint_name),
    )


async def test_begin_travels_with_a_save(traced: Any) -> None:
    async with known_block() as conn:
        tag = await Tag.objects.acreate(name="a")
        with traced(conn) as wire:
            async with transaction.atomic():
                tag.name = "b"
                await tag.asave()
            assert wire.trips() == ["BEGIN UPDATE", "COMMIT"]
    assert await Tag.objects.aget() == tag


async def test_begin_travels_with_a_cursors_statement(traced: Any) -> None:
    async with new_connection() as conn:
        await conn.aensure_connection()
        with traced(conn) as wire:
            async with transaction.atomic(), conn.acursor() as cursor:
                await cursor.execute("SELECT %s", ["$1;"])
                assert await cursor.fetchone() == ("$1;",)
                assert cursor.rowcount == 1
                await cursor.execute("SELECT 2")
                assert await cursor.fetchall() == [(2,)]
            assert wire.trips() == ["BEGIN SELECT", "SELECT", "COMMIT"]


async def test_begin_of_an_isolation_level(traced: Any) -> None:
    async with known_block() as conn:
        level = {"isolation_level": "serializable"}
        async with our_transaction.atomic(**level), conn.acursor() as cursor:
            with traced(conn) as wire:
                await Tag.objects.acreate(name="a")
                assert wire.trips() == ["BEGIN INSERT"]
            await cursor.execute("SHOW transaction_isolation")
            assert await cursor.fetchone() == ("serializable",)


async def test_savepoints_travel_too(traced: Any) -> None:
    async with known_block() as conn:
        with traced(conn) as wire:
            async with transaction.atomic():
                async with transaction.atomic(), transaction.atomic():
                    await Tag.objects.acreate(name="a")
                async with transaction.atomic():
                    await Tag.objects.acreate(name="b")
        assert wire.trips() == [
            "BEGIN SAVEPOINT SAVEPOINT INSERT",
            *("RELEASE", "RELEASE", "SAVEPOINT INSERT", "RELEASE", "COMMIT"),
        ]
    assert await Tag.objects.acount() == 2


async def test_atomic_blocks_without_statements_send_nothing(traced: Any) -> None:
    async with new_connection() as conn:
        await conn.aensure_connection()
        with traced(conn) as wire:
            async with transaction.atomic(), transaction.atomic():
                with pytest.raises(LookupError):
                    async with transaction.atomic():
                        raise LookupError
            assert wire.trips() == []
        assert conn.connection.unsettled == []


async def test_a_savepoint_goes_before_what_it_cannot_travel_with(traced: Any) -> None:
    async with new_connection() as conn:
        await Tag.objects.abulk_create([Tag(name=f"t{n}") for n in range(5)])
        async with transaction.atomic():
            with traced(conn) as wire:
                with pytest.raises(LookupError):
                    async with transaction.atomic(), conn.acursor() as cursor:
                        await cursor.execute("DELETE FROM testapp_tag")
                        raise LookupError
                async with transaction.atomic():
                    found = [tag async for tag in Tag.objects.aiterator(chunk_size=2)]
                sent = " ".join(wire.trips())
            assert len(found) == 5
            assert sent.startswith("BEGIN SAVEPOINT DELETE ROLLBACK RELEASE SAVEPOINT")


async def test_several_statements_in_one_text_are_sent_as_before() -> None:
    def both() -> Any:
        with transaction.atomic(), connections["default"].cursor() as cursor:
            cursor.execute("SELECT 1; SELECT 2")
            first = cursor.fetchall()
            assert cursor.nextset()
            return first + cursor.fetchall()

    async with new_connection():
        assert await run_sync(both) == [(1,), (2,)]


FAILING = [
    "SELECT 1 / (SELECT 0)",
    "SELECT nothing FROM testapp_tag",
    "SELECT $1",
    "SELEC 1",
    "INSERT INTO testapp_tag (name) VALUES ('there')",
    "COPY testapp_tag TO STDOUT; SELECT 1/0",
    "",
]


@pytest.mark.parametrize("text", FAILING)
@pytest.mark.parametrize("depth", [1, 2])
async def test_errors_are_those_of_the_statement(text: str, depth: int) -> None:
    await asyncio.to_thread(_make_tag)

    def fail() -> None:
        with connections["default"].cursor() as cursor:
            cursor.execute(text)

    def in_stock() -> Any:
        try:
            with transaction.atomic():
                if depth == 1:
                    return told(fail)
                with transaction.atomic():
                    return told(fail)
        except Exception as exc:
            return described(exc)
        finally:
            connections["default"].close()

    async def in_block() -> Any:
        async with new_connection():
            return await run_sync(in_stock)

    assert await in_block() == await asyncio.to_thread(in_stock)


def _make_tag() -> None:
    Tag.objects.create(name="there")
    connection.close()


async def test_an_error_in_the_first_statement_of_a_savepoint() -> None:
    async with known_block() as conn:
        await Tag.objects.acreate(name="there")
        async with transaction.atomic():
            await Tag.objects.acreate(name="before")
            with pytest.raises(IntegrityError) as raised:
                async with transaction.atomic():
                    await Tag.objects.acreate(name="there")
            await Tag.objects.acreate(name="after")
        cause: Any = raised.value.__cause__
        assert cause.diag.constraint_name == "testapp_tag_name_key"
        assert not conn.in_transaction()
    names = [name async for name in Tag.objects.order_by("pk").values_list("name")]
    assert names == [("there",), ("before",), ("after",)]


async def test_a_begin_that_fails_says_so_itself() -> None:
    async with known_block() as conn:
        raw = conn.connection
        with pytest.raises(ProgrammingError, match="nonsense"):
            async with transaction.atomic():
                raw._begin_statement = b"BEGIN nonsense"
                await Tag.objects.acreate(name="a")
        raw._begin_statement = b""
        assert not conn.in_transaction()
        assert not await Tag.objects.aexists()


async def test_a_value_that_cannot_be_sent() -> None:
    async with known_block():
        async with transaction.atomic():
            with pytest.raises((DatabaseError, ValueError)):
                await Tag.objects.acreate(name="nul \0")
        async with transaction.atomic():
            await Tag.objects.acreate(name="a")
    assert await Tag.objects.acount() == 1


@pytest.mark.parametrize("depth", [1, 2])
async def test_cancelled_in_the_first_statement(depth: int, dsn: str) -> None:
    async def work() -> None:
        async with transaction.atomic(), transaction.atomic(savepoint=depth == 2):
            await run_sync(Tag.objects.raw("SELECT pg_sleep(30), 1 AS id").__len__)

    async with new_connection() as conn:
        await conn.aensure_connection()
        pid = conn.connection.info.backend_pid
        assert await cancelled(work()) < 5
        assert conn.connection is None or not conn.in_transaction()
        async with transaction.atomic(), transaction.atomic():
            await Tag.objects.acreate(name="a")
        assert conn.connection.info.backend_pid == pid
    assert await Tag.objects.acount() == 1


async def test_cancelled_between_begin_and_its_first_statement() -> None:
    inside = asyncio.Event()

    async def work() -> None:
        async with transaction.atomic(), transaction.atomic():
            inside.set()
            await asyncio.sleep(30)

    async with known_block() as conn:
        await cancelled(work())
        assert inside.is_set()
        assert conn.connection.unsettled == []
        assert not conn.in_transaction()
        await Tag.objects.acreate(name="a")
    assert await Tag.objects.acount() == 1


async def test_the_server_ends_the_session_before_the_first_statement(dsn: str) -> None:
    async with known_block() as conn:
        pid = conn.connection.info.backend_pid
        with pytest.raises(OperationalError, match=r"terminating|closed"):
            async with transaction.atomic():
                with psycopg.connect(dsn, autocommit=True) as admin:
                    admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
                await Tag.objects.acreate(name="a")
        async with transaction.atomic():
            await Tag.objects.acreate(name="b")
    assert [tag.name async for tag in Tag.objects.all()] == ["b"]


async def test_who_watches_sees_what_stock_sends() -> None:
    def work() -> list[str]:
        capture = CaptureQueriesContext(connections["default"])
        with capture as seen, transaction.atomic():
            with transaction.atomic():
                Tag.objects.count()
            with transaction.atomic():
                pass
        return [re.sub(r"s\d+_x\d+", "s", query["sql"]) for query in seen]

    def stock() -> list[str]:
        try:
            return work()
        finally:
            connection.close()

    async with new_connection():
        in_block = await run_sync(work)
    assert in_block == await asyncio.to_thread(stock)


async def test_who_comes_to_watch_later_sees_the_rest() -> None:
    async with new_connection() as conn, transaction.atomic():
        async with transaction.atomic():
            with CaptureQueriesContext(conn) as seen:
                async with transaction.atomic():
                    pass
        assert [query["sql"].split()[0] for query in seen] == ["SAVEPOINT", "RELEASE"]


async def test_savepoints_by_hand() -> None:
    async with new_connection() as conn, transaction.atomic():
        outer = await our_transaction.asavepoint()
        inner = await our_transaction.asavepoint()
        await our_transaction.asavepoint_rollback(outer)
        await Tag.objects.acreate(name="a")
        with pytest.raises(DatabaseError, match="does not exist"):
            async with transaction.atomic():
                await our_transaction.asavepoint_rollback(inner)
        await Tag.objects.acreate(name="b")
        await our_transaction.asavepoint_rollback(outer)
        await Tag.objects.acreate(name="c")
        await our_transaction.asavepoint_commit(outer)
        assert conn.connection.due.names == {}
    assert [tag.name async for tag in Tag.objects.all()] == ["c"]


async def test_on_commit_of_a_savepoint() -> None:
    done: list[str] = []
    async with known_block(), transaction.atomic():
        async with transaction.atomic():
            transaction.on_commit(lambda: done.append("kept"))
        with pytest.raises(LookupError):
            async with transaction.atomic():
                transaction.on_commit(lambda: done.append("undone"))
                raise LookupError
        assert done == []
    assert done == ["kept"]


class Undo(Exception):
    pass


def run_program(choose: random.Random, depth: int = 0) -> None:
    """Nest atomic blocks at random; write, fail, go back or catch in them."""
    for _ in range(choose.randint(0, 4)):
        match choose.randrange(6 if depth < 4 else 3):
            case 0:
                Publisher.objects.create(name=str(choose.random()))
            case 1:
                Publisher.objects.count()
            case 2:
                if depth and choose.random() < 0.4:
                    raise Undo
            case 3 | 4:
                try:
                    with transaction.atomic(savepoint=choose.random() < 0.8):
                        run_program(choose, depth + 1)
                except (Undo, DatabaseError, transaction.TransactionManagementError):
                    pass
            case 5:
                try:
                    with transaction.atomic():
                        taken = Publisher.objects.first()
                        if taken is not None:
                            Publisher.objects.create(name=taken.name)
                        transaction.on_commit(Publisher(name="hook").save)
                except (IntegrityError, transaction.TransactionManagementError):
                    pass


def outcome(seed: int) -> list[Any]:
    found: list[Any] = []
    try:
        with transaction.atomic():
            run_program(random.Random(seed), 1)
    except Exception as exc:
        found.append(type(exc))
    found += Publisher.objects.order_by("name").values_list("name", flat=True)
    Publisher.objects.all().delete()
    return found


async def test_nested_at_random_all_ends_as_in_stock() -> None:
    def in_stock() -> list[Any]:
        try:
            return [outcome(seed) for seed in range(40)]
        finally:
            connection.close()

    expected = await asyncio.to_thread(in_stock)
    assert sum(map(len, expected)) > 20
    async with new_connection():
        assert [await run_sync(outcome, seed) for seed in range(40)] == expected


async def test_several_tasks_and_their_savepoints() -> None:
    async def get_or_create(name: str) -> bool:
        _, created = await Tag.objects.aget_or_create(name=name)
        return bool(created)

    async with known_block(), transaction.atomic():
        names = [str(number % 5) for number in range(20)]
        created = await asyncio.gather(*map(get_or_create, names))
    assert sum(created) == await Tag.objects.acount() == 5
