"""`conn.anotifies()`: LISTEN and NOTIFY on a block's connection."""

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import (
    InterfaceError,
    NotSupportedError,
    OperationalError,
    connections,
    transaction,
)
from django.db.transaction import TransactionManagementError

from django_async_fast import new_connection
from tests.support.cancelling import cancelled
from tests.support.other_databases import other_database
from tests.support.until import until
from tests.testapp.models import Tag

ODD = 'odd "name"; --'


def notify(admin: Any, payload: str, channel: str = "notes") -> None:
    admin.execute("SELECT pg_notify(%s, %s)", [channel, payload])


async def listening_to(conn: Any) -> list[str]:
    async with conn.acursor() as cursor:
        await cursor.execute("SELECT pg_listening_channels()")
        return [name for (name,) in await cursor.fetchall()]


async def listens(conn: Any, *channels: str) -> None:
    """Wait until the connection listens to these."""

    async def does() -> bool:
        return sorted(await listening_to(conn)) == [*channels]

    await until(does)


class Reader:
    """Reads all that comes, in a task of its own."""

    def __init__(self, notes: Any) -> None:
        self.found: list[str] = []
        self.task = asyncio.create_task(self._read(notes))

    async def _read(self, notes: Any) -> None:
        async for note in notes:
            self.found.append(note.payload)

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


@pytest.mark.parametrize("alias", ["default", "pooled"])
async def test_what_was_sent_comes_in_order(alias: str, admin: Any) -> None:
    async with new_connection(alias) as conn:
        async with conn.anotifies("notes", ODD, timeout=20) as notes:
            assert sorted(await listening_to(conn)) == ["notes", ODD]
            notify(admin, "1")
            notify(admin, "not for us", "others")
            notify(admin, "2", ODD)
            found = []
            async for note in notes:
                assert isinstance(note, psycopg.Notify)
                assert note.pid == admin.info.backend_pid
                found.append((note.channel, note.payload))
                if len(found) == 2:
                    break
            assert found == [("notes", "1"), (ODD, "2")]
        assert await listening_to(conn) == []
        assert conn.connection.unsettled == []
        assert conn.connection.listening is None


async def test_it_waits_and_ends_after_its_timeout(admin: Any) -> None:
    loop = asyncio.get_running_loop()
    async with new_connection() as conn:
        began = loop.time()
        loop.call_later(0.2, notify, admin, "late")
        found = [note.payload async for note in conn.anotifies("notes", timeout=0.6)]
        assert found == ["late"]
        assert 0.5 < loop.time() - began < 5
        assert await listening_to(conn) == []


async def test_other_statements_go_on_meanwhile(admin: Any) -> None:
    async with new_connection() as conn:
        reader = Reader(conn.anotifies("notes"))
        for number in range(20):
            notify(admin, str(number))
            await asyncio.gather(*[Tag.objects.acount() for _ in range(3)])
            async with transaction.atomic(), transaction.atomic():
                await Tag.objects.acreate(name=f"t{number}")
        notify(admin, "last")
        await until(lambda: "last" in reader.found)
        await reader.stop()
        sent = [*map(str, range(20)), "last"]
        assert reader.found == sent[-len(reader.found) :]  # it began with one of them
        assert len(reader.found) > 15
        assert await listening_to(conn) == []
    assert await asyncio.to_thread(_count) == 20


def _count() -> int:
    try:
        return Tag.objects.count()
    finally:
        connections["default"].close()


async def test_the_connection_hears_itself() -> None:
    async with new_connection() as conn, conn.anotifies("notes", timeout=20) as notes:
        async with conn.acursor() as cursor:
            await cursor.execute("NOTIFY notes, 'me'")
        async for note in notes:
            assert note.payload == "me"
            break


async def test_two_readers_of_one_connection(admin: Any) -> None:
    async with new_connection() as conn:
        one, both = conn.anotifies("notes"), conn.anotifies("notes", "others")
        readers = [Reader(one), Reader(both)]
        await Tag.objects.acount()
        await listens(conn, "notes", "others")
        notify(admin, "1")
        notify(admin, "2", "others")
        await until(lambda: [len(each.found) for each in readers] == [1, 2])
        await readers[1].stop()
        assert await listening_to(conn) == ["notes"]
        notify(admin, "3")
        await until(lambda: readers[0].found == ["1", "3"])
        await readers[0].stop()
        assert await listening_to(conn) == []


async def read(conn: Any) -> None:
    async for _ in conn.anotifies("notes"):
        pass


@pytest.mark.parametrize("after", [0, 0.001, 0.01, 0.2])
async def test_cancelled(after: float) -> None:
    async with new_connection() as conn:
        await conn.aensure_connection()
        pid = conn.connection.info.backend_pid
        assert await cancelled(read(conn), after) < 5
        assert await listening_to(conn) == []
        assert conn.connection.info.backend_pid == pid


@pytest.mark.parametrize("again", [0.0005, 0.002])
async def test_cancelled_twice_and_given_back_without_listeners(again: float) -> None:
    async with new_connection("pooled") as conn:
        await cancelled(read(conn), 0.1, again)
    async with new_connection("pooled") as conn:
        assert await listening_to(conn) == []


async def test_a_pooled_connection_goes_back_without_listeners(admin: Any) -> None:
    async with new_connection("pooled") as conn:
        await conn.aensure_connection()
        pid = conn.connection.info.backend_pid
        async with conn.anotifies("first") as _:
            pass
        iterator = aiter(conn.anotifies("notes"))
        notify_soon = asyncio.get_running_loop().call_later(0.1, notify, admin, "1")
        assert (await anext(iterator)).payload == "1"
        notify_soon.cancel()
    async with new_connection("pooled") as conn:
        await conn.aensure_connection()
        assert conn.connection.info.backend_pid == pid
        assert await listening_to(conn) == []
    with pytest.raises((InterfaceError, OperationalError)):
        await anext(iterator)


async def test_the_block_ends_while_somebody_waits() -> None:
    async with new_connection("pooled") as conn:
        reader = Reader(conn.anotifies("notes"))
        await listens(conn, "notes")
    async with asyncio.timeout(10):
        await asyncio.wait([reader.task])
    assert isinstance(reader.task.exception(), (InterfaceError, OperationalError))


async def test_a_lost_connection_is_told(admin: Any) -> None:
    async with new_connection() as conn, conn.anotifies("notes") as notes:
        pid = conn.connection.info.backend_pid
        reader = Reader(notes)
        await listens(conn, "notes")
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        async with asyncio.timeout(10):
            await asyncio.wait([reader.task])
        assert isinstance(reader.task.exception(), OperationalError)


@pytest.mark.parametrize("alias", ["default", "pooled"])
async def test_a_lost_connection_is_opened_again(alias: str, admin: Any) -> None:
    async with new_connection(alias) as conn:
        reader = Reader(conn.anotifies("notes", reconnect=True))
        for _ in range(2):
            await listens(conn, "notes")
            before = conn.connection.info.backend_pid
            notify(admin, str(before))
            await until(lambda: reader.found[-1:] == [str(before)])
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", [before])
            await until(
                lambda: conn.connection and conn.connection.info.backend_pid != before
            )
        assert len(set(reader.found)) == 2
        await reader.stop()


async def test_it_is_refused_in_a_transaction() -> None:
    async with new_connection() as conn:
        async with transaction.atomic():
            with pytest.raises(TransactionManagementError, match="notifications"):
                await anext(aiter(conn.anotifies("notes")))
            await Tag.objects.acreate(name="a")
        assert await listening_to(conn) == []
    assert await asyncio.to_thread(_count) == 1


def test_other_databases_have_none(tmp_path: Path) -> None:
    async def listen(alias: str) -> None:
        async with new_connection(alias) as conn:
            with pytest.raises(NotSupportedError, match="LISTEN"):
                conn.anotifies("notes")

    with other_database("file", tmp_path) as alias:
        asyncio.run(listen(alias))


async def test_it_needs_a_channel() -> None:
    async with new_connection() as conn:
        with pytest.raises(TypeError, match="channel"):
            conn.anotifies()
