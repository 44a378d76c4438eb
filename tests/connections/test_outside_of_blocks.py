"""Where a block ends: outside of it, and where nothing can await, everything is Django's."""

import asyncio
import contextvars
from collections.abc import Iterator

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.db import InterfaceError, connections, transaction

from django_async_fast import async_connections, bridge, new_connection, run_sync
from tests.support.backend_pids import abackend_pid, backend_pid
from tests.testapp.models import Author, Unique


@pytest.fixture
def _disconnected() -> Iterator[None]:
    yield
    connections.close_all()


@pytest.mark.usefixtures("_disconnected")
class TestWithoutABlock:
    def test_async_calls_use_the_callers_connection(self) -> None:
        assert async_to_sync(run_sync)(backend_pid) == backend_pid()

    def test_async_calls_see_the_callers_transaction(self) -> None:
        async def find() -> tuple[Author, list[Author], list[Author]]:
            one = await Author.objects.aget(name="uncommitted")
            some = [author async for author in Author.objects.all()]
            return one, some, [author async for author in Author.objects.aiterator()]

        async def create() -> None:
            await Author.objects.acreate(name="rolled back too")

        with pytest.raises(ZeroDivisionError), transaction.atomic():
            author = Author.objects.create(name="uncommitted")
            assert async_to_sync(find)() == (author, [author], [author])
            async_to_sync(create)()
            assert Author.objects.count() == 2
            raise ZeroDivisionError
        assert Author.objects.count() == 0

    @pytest.mark.parametrize(("own_connection", "seen"), [(True, 1), (False, 2)])
    def test_the_programs_of_dep_9(self, own_connection: bool, seen: int) -> None:
        row = Unique.objects.create(key="k", value=1)
        printed = []

        async def print_value(m: Unique) -> None:
            if own_connection:
                async with new_connection():
                    await m.arefresh_from_db()
            else:
                await m.arefresh_from_db()
            printed.append(m.value)

        with transaction.atomic():
            Unique.objects.update(value=2)
            async_to_sync(print_value)(row)
        assert printed == [seen]

    def test_on_commit_with_a_coroutine_function(self) -> None:
        seen = []

        async def callback() -> None:
            seen.append(await Author.objects.acount())

        with transaction.atomic():
            transaction.on_commit(callback)
            Author.objects.create(name="a")
            assert seen == []
        assert seen == [1]

    async def test_run_sync_is_a_thread(self) -> None:
        assert await run_sync(backend_pid) == await sync_to_async(backend_pid)()

    async def test_synchronous_code_on_the_loop_is_refused(self) -> None:
        with pytest.raises(SynchronousOnlyOperation):
            Author.objects.count()

    async def test_there_is_no_asynchronous_connection(self) -> None:
        with pytest.raises(InterfaceError, match="async with new_connection"):
            async_connections["default"]

    async def test_async_atomic_needs_a_block(self) -> None:
        with pytest.raises(transaction.TransactionManagementError, match="new_conn"):
            async with transaction.atomic():
                pytest.fail("entered")

    async def test_an_atomic_coroutine_function_needs_a_block(self) -> None:
        @transaction.atomic
        async def work() -> None:
            pytest.fail("called")

        with pytest.raises(transaction.TransactionManagementError, match="new_conn"):
            await work()


async def test_a_block_has_a_connection_of_its_own() -> None:
    outer = await sync_to_async(backend_pid)()
    async with new_connection():
        first = await abackend_pid()
        assert await run_sync(backend_pid) == first
        async with new_connection():
            second = await abackend_pid()
        assert await abackend_pid() == first
    assert len({outer, first, second}) == 3
    assert await sync_to_async(backend_pid)() == outer


async def test_a_block_is_invisible_from_other_loops() -> None:
    async def elsewhere() -> tuple[int, int, int]:
        count = await Author.objects.acount()
        with pytest.raises(InterfaceError):
            async_connections["default"]
        async with new_connection():
            await sync_to_async(connections.close_all)()
            return count, await Author.objects.acount(), await abackend_pid()

    async with new_connection(), transaction.atomic():
        await Author.objects.acreate(name="uncommitted")
        # The thread inherits the context variable, but neither loop nor connection.
        context = contextvars.copy_context()
        before, inside, other = await asyncio.to_thread(
            context.run, asyncio.run, elsewhere()
        )
        assert (before, inside) == (0, 0)
        assert other != await abackend_pid()


def test_a_block_is_invisible_from_another_loop_of_its_thread() -> None:
    async def elsewhere() -> int:
        with pytest.raises(InterfaceError, match="async with new_connection"):
            async_connections["default"]
        return await Author.objects.acount()

    context = contextvars.copy_context()
    block = new_connection()
    with asyncio.Runner() as one, asyncio.Runner() as another:
        one.run(block.__aenter__(), context=context)
        used = one.run(abackend_pid(), context=context)
        assert another.run(elsewhere(), context=context) == 0
        assert one.run(abackend_pid(), context=context) == used
        one.run(block.__aexit__(), context=context)
    connections.close_all()


async def test_a_blocks_connection_on_the_loop_itself() -> None:
    async with new_connection() as conn:
        await abackend_pid()
        with pytest.raises(SynchronousOnlyOperation):
            conn.cursor()
        with pytest.raises(bridge.BridgeError, match="run_sync"):
            conn.connection.execute("SELECT 1")
        assert await abackend_pid()  # the connection is none the worse


async def test_a_blocks_connection_in_a_thread() -> None:
    async with new_connection() as conn:
        with pytest.raises(SynchronousOnlyOperation, match="aensure_connection"):
            await asyncio.to_thread(conn.ensure_connection)
        await abackend_pid()
        with pytest.raises(bridge.BridgeError, match="run_sync"):
            await sync_to_async(conn.connection.execute)("SELECT 1")
        assert await abackend_pid()


async def test_awaiting_in_a_thread() -> None:
    async def never() -> None:
        pytest.fail("awaited")

    with pytest.raises(bridge.BridgeError, match="run_sync"):
        await sync_to_async(bridge.await_)(never())


def test_a_loop_ends_while_its_pool_grows() -> None:
    # psycopg_pool's workers take a cancellation for a failed connection and go on;
    # asyncio.run waits for them.
    async def one() -> None:
        async with new_connection("pooled"):
            await abackend_pid(async_connections["pooled"])

    async def many() -> None:
        await asyncio.gather(*(one() for _ in range(20)))

    for _ in range(10):
        asyncio.run(many())
