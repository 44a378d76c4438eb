"""atomic(isolation_level=, read_only=, deferrable=)."""

import asyncio
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections
from django.db import transaction as django_transaction
from django.db.transaction import TransactionManagementError
from psycopg import IsolationLevel

from django_async_fast import new_connection
from django_async_fast.transaction import atomic
from tests.support.cancelling import cancelled
from tests.support.in_a_block import in_a_block
from tests.testapp.models import Tag

SHOW = (
    "SELECT current_setting('transaction_isolation'),"
    " current_setting('transaction_read_only'),"
    " current_setting('transaction_deferrable')"
)
DEFAULT = ("read committed", "off", "off")
CASES: list[tuple[dict[str, Any], tuple[str, str, str]]] = [
    ({}, DEFAULT),
    ({"isolation_level": "serializable"}, ("serializable", "off", "off")),
    ({"isolation_level": "REPEATABLE READ"}, ("repeatable read", "off", "off")),
    (
        {"isolation_level": IsolationLevel.REPEATABLE_READ},
        ("repeatable read", "off", "off"),
    ),
    ({"read_only": True}, ("read committed", "on", "off")),
    ({"read_only": False}, DEFAULT),
    (
        {"isolation_level": "serializable", "read_only": True, "deferrable": True},
        ("serializable", "on", "on"),
    ),
]


async def shown(conn: Any) -> Any:
    async with conn.acursor() as cursor:
        await cursor.execute(SHOW)
        return await cursor.fetchone()


def shown_sync() -> Any:
    with connection.cursor() as cursor:
        cursor.execute(SHOW)
        return cursor.fetchone()


@pytest.fixture(params=["default", "pooled"])
def alias(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(("options", "expected"), CASES)
async def test_async(alias: str, options: dict[str, Any], expected: Any) -> None:
    async with new_connection(alias) as conn:
        for _ in range(2):
            async with atomic(alias, **options):
                assert await shown(conn) == expected
                async with django_transaction.atomic(alias):
                    assert await shown(conn) == expected
            assert await shown(conn) == DEFAULT
            async with django_transaction.atomic(alias):
                assert await shown(conn) == DEFAULT
    async with new_connection(alias) as conn, atomic(alias):
        assert await shown(conn) == DEFAULT


@pytest.mark.parametrize(("options", "expected"), CASES)
def test_in_synchronous_code(options: dict[str, Any], expected: Any) -> None:
    def work() -> None:
        with atomic(**options):
            assert shown_sync() == expected
        assert shown_sync() == DEFAULT

    in_a_block(work)
    work()
    connection.close()


async def test_decorator() -> None:
    @atomic(isolation_level="repeatable read")
    async def work() -> Any:
        return await shown(conn)

    @atomic
    async def plain() -> Any:
        return await shown(conn)

    async with new_connection() as conn:
        assert [r[0] for r in await asyncio.gather(work(), plain(), work())] == [
            "repeatable read",
            "read committed",
            "repeatable read",
        ]


async def test_no_statement_is_spent_on_it() -> None:
    async with new_connection() as conn:
        await conn.aensure_connection()
        conn.force_debug_cursor = True
        async with atomic(isolation_level="serializable", read_only=True):
            await Tag.objects.acount()
        statements = [query["sql"] for query in conn.queries]
        assert [s.split()[0] for s in statements] == ["BEGIN", "SELECT", "COMMIT"]


async def test_after_an_error() -> None:
    async with new_connection() as conn:
        with pytest.raises(DatabaseError, match="read-only"):
            async with atomic(read_only=True):
                await Tag.objects.acreate(name="refused")
        assert await shown(conn) == DEFAULT
        await Tag.objects.acreate(name="allowed")


async def test_after_a_cancellation() -> None:
    async with new_connection() as conn:

        async def work() -> None:
            async with atomic(read_only=True):
                await shown(conn)
                await asyncio.sleep(30)

        await cancelled(work())
        await Tag.objects.acreate(name="allowed")


async def test_after_a_lost_connection() -> None:
    async with new_connection() as conn:
        with pytest.raises(DatabaseError):
            async with atomic(read_only=True), conn.acursor() as cursor:
                await cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        assert await shown(conn) == DEFAULT


async def refused(**options: Any) -> None:
    with pytest.raises(TransactionManagementError, match="outermost"):
        async with atomic(**options):
            pass


async def test_only_the_outermost_block() -> None:
    async with new_connection() as conn:
        async with django_transaction.atomic():
            await refused(isolation_level="serializable")
            assert await shown(conn) == DEFAULT
        async with atomic(read_only=True):
            await refused(read_only=True)
            assert (await shown(conn))[1] == "on"
        assert await shown(conn) == DEFAULT
        await django_transaction.aset_autocommit(False)
        await refused(read_only=True)


async def test_in_a_test_only_read_only_has_an_effect() -> None:
    async with new_connection(force_rollback=True) as conn:
        await Tag.objects.acreate(name="before")
        async with atomic(isolation_level="serializable", read_only=True):
            assert await shown(conn) == ("read committed", "on", "off")
            with pytest.raises(DatabaseError, match="read-only"):
                async with django_transaction.atomic():
                    await Tag.objects.acreate(name="refused")
        assert await shown(conn) == DEFAULT
        await Tag.objects.acreate(name="allowed")


def test_an_unknown_level() -> None:
    with pytest.raises(ValueError, match="repeatable read"):
        atomic(isolation_level="chaos")


def test_another_database() -> None:
    vendor = type(connections["default"]).vendor
    type(connections["default"]).vendor = "sqlite"
    try:
        with pytest.raises(DatabaseError, match="PostgreSQL"), atomic(read_only=True):
            pass
    finally:
        type(connections["default"]).vendor = vendor
