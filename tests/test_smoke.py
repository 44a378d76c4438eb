import asyncio, threading
from asgiref.sync import async_to_sync
from django.db import transaction, connection, connections
from django_async_fast import new_connection, async_connections, run_sync
from tests.testapp.models import Author, Book


async def test_basic():
    before = threading.active_count()
    async with new_connection() as conn:
        a = await Author.objects.acreate(name="x")
        assert (await Author.objects.aget(pk=a.pk)).name == "x"
        assert [x async for x in Author.objects.all()] == [a]
        assert [x async for x in Author.objects.aiterator()] == [a]
        assert [
            x async for x in Author.objects.values_list("name", flat=True).aiterator()
        ] == ["x"]
        async with conn.acursor() as c:
            await c.execute("select 1")
            assert await c.fetchone() == (1,)
        async with transaction.atomic():
            await Author.objects.filter(pk=a.pk).aupdate(name="y")
            try:
                async with transaction.atomic():
                    await Author.objects.filter(pk=a.pk).aupdate(name="z")
                    raise ValueError
            except ValueError:
                pass
        await a.arefresh_from_db()
        assert a.name == "y"
        await asyncio.gather(
            *[Author.objects.aget_or_create(name=f"g{i}") for i in range(5)]
        )
        assert await Author.objects.acount() == 6
    assert threading.active_count() == before


async def test_pool():
    async def one(i):
        async with new_connection("pooled"):
            await Author.objects.using("pooled").acreate(name=f"x{i}")

    await asyncio.gather(*map(one, range(20)))
    async with new_connection("pooled"):
        assert await Author.objects.using("pooled").acount() == 20
