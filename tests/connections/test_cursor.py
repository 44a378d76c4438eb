"""Asynchronous cursors."""

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import DataError, ProgrammingError, connections, transaction
from django.test.utils import CaptureQueriesContext

from django_async_fast import async_connections, new_connection
from tests.testapp.models import Tag


async def test_execute_and_fetch() -> None:
    async with new_connection() as conn, conn.acursor() as cursor:
        await cursor.execute("SELECT * FROM generate_series(1, %s) AS n", [7])
        assert cursor.rowcount == 7
        assert cursor.description[0].name == "n"
        assert await cursor.fetchone() == (1,)
        assert await cursor.fetchmany(2) == [(2,), (3,)]
        assert await cursor.fetchmany() == [(4,)]
        assert await cursor.fetchall() == [(5,), (6,), (7,)]
        assert await cursor.fetchone() is None


async def test_iteration_and_chaining() -> None:
    async with new_connection() as conn, conn.acursor() as cursor:
        rows = await cursor.execute("SELECT generate_series(1, 3)")
        assert [row async for row in rows] == [(1,), (2,), (3,)]


async def test_executemany() -> None:
    async with new_connection() as conn, conn.acursor() as cursor:
        await cursor.executemany(
            "INSERT INTO testapp_tag (name) VALUES (%s)", [["a"], ["b"], ["c"]]
        )
        assert await Tag.objects.acount() == 3


async def test_copy_in_and_out() -> None:
    async with new_connection() as conn, conn.acursor() as cursor:
        async with cursor.copy("COPY testapp_tag (name) FROM STDIN") as copy:
            for name in ("a", "b"):
                await copy.write_row([name])
            await copy.write("c\n")
        assert await Tag.objects.acount() == 3
        statement = "COPY (SELECT name FROM testapp_tag ORDER BY name) TO STDOUT"
        async with cursor.copy(statement) as copy:
            assert [row async for row in copy.rows()] == [("a",), ("b",), ("c",)]
        async with cursor.copy(statement) as copy:
            assert b"".join([bytes(block) async for block in copy]) == b"a\nb\nc\n"


async def test_a_copy_that_fails_leaves_a_usable_connection() -> None:
    async with new_connection() as conn, conn.acursor() as cursor:
        with pytest.raises(ValueError):
            async with cursor.copy("COPY testapp_tag (name) FROM STDIN") as copy:
                await copy.write_row(["a"])
                raise ValueError
        assert await Tag.objects.acount() == 0


async def test_errors_are_djangos() -> None:
    async with new_connection() as conn, conn.acursor() as cursor:
        with pytest.raises(ProgrammingError):
            await cursor.execute("SELECT nothing")
        with pytest.raises(DataError):
            await cursor.execute("SELECT 1 / 0")
        await cursor.execute("SELECT 1")


async def test_a_cursor_can_be_used_without_async_with() -> None:
    async with new_connection() as conn:
        cursor = conn.acursor()
        await cursor.execute("SELECT 1")
        assert await cursor.fetchall() == [(1,)]
        await cursor.close()


async def test_attributes_before_the_first_statement() -> None:
    async with new_connection() as conn:
        cursor = conn.acursor()
        with pytest.raises(AttributeError, match="before the first"):
            _ = cursor.description
        with pytest.raises(AttributeError, match="no attribute"):
            _ = cursor.nonsense


async def test_every_alias_is_a_connection_of_its_own() -> None:
    async with new_connection():
        assert async_connections["other"] is not async_connections["default"]
        names = []
        for alias in ("default", "other"):
            async with async_connections[alias].acursor() as cursor:
                await cursor.execute("SELECT current_database()")
                names.append((await cursor.fetchone())[0])
        wanted = [connections[a].settings_dict["NAME"] for a in ("default", "other")]
        assert names == wanted


async def test_instrumentation_of_djangos_cursors_works() -> None:
    seen = []

    def wrapper(execute, sql, params, many, context):  # type: ignore[no-untyped-def]
        seen.append(sql)
        return execute(sql, params, many, context)

    async with new_connection() as conn:
        with pytest.raises(SynchronousOnlyOperation, match="aensure_connection"):
            CaptureQueriesContext(conn).__enter__()
        await conn.aensure_connection()
        with conn.execute_wrapper(wrapper), CaptureQueriesContext(conn) as queries:
            await Tag.objects.acreate(name="a")
            assert [tag.name async for tag in Tag.objects.all()] == ["a"]
        assert len(seen) == len(queries) == 2


async def test_a_connection_out_of_autocommit() -> None:
    async with new_connection() as conn:
        await transaction.aset_autocommit(False)
        async with conn.acursor() as cursor:
            await cursor.execute("INSERT INTO testapp_tag (name) VALUES ('a')")
        await conn.arollback()
        assert await Tag.objects.acount() == 0
        await Tag.objects.acreate(name="b")
        await conn.acommit()
        await conn.aclose()
    async with new_connection():
        assert await Tag.objects.acount() == 1
