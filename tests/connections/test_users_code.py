"""What users wrote runs in a block: save(), receivers, on_commit, run_sync, afetch_related."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import SynchronousOnlyOperation
from django.db import transaction
from django.db.models.signals import post_save

from django_async_fast import afetch_related, new_connection, run_sync
from tests.support.backend_pids import abackend_pid, backend_pid
from tests.support.describe import Queries
from tests.support.signals import receiving
from tests.testapp.models import Author, Book, CountsSaves, Publisher, Tag


async def test_a_users_save_runs_once() -> None:
    async with new_connection():
        instance = CountsSaves(name="a")
        await instance.asave()
        assert instance.saves == 1
        assert (await CountsSaves.objects.acreate(name="b")).saves == 1
        got, created = await CountsSaves.objects.aget_or_create(name="c")
        assert (got.saves, created) == (1, True)
        got, created = await CountsSaves.objects.aupdate_or_create(
            name="c", defaults={"name": "d"}
        )
        assert (got.saves, created) == (2, False)
        pk = got.pk
        await got.adelete()
        assert CountsSaves.deleted[-1] == pk
        assert await CountsSaves.objects.acount() == 2


@pytest.fixture
def receivers() -> Iterator[list[int]]:
    """Receivers that write: yield the connections that they wrote on."""
    pids: list[int] = []

    def receiver(instance: Any, **kwargs: Any) -> None:
        Tag.objects.create(name=f"sync-{instance.name}")
        pids.append(backend_pid())

    async def areceiver(instance: Any, **kwargs: Any) -> None:
        await Tag.objects.acreate(name=f"async-{instance.name}")
        pids.append(await abackend_pid())

    ours = receiver, areceiver
    one, other = (receiving(each, post_save, sender=Author) for each in ours)
    with one, other:
        yield pids


async def test_receivers_are_in_the_transaction(receivers: list[int]) -> None:
    async with new_connection():
        with pytest.raises(ZeroDivisionError):
            async with transaction.atomic():
                await Author.objects.acreate(name="a")
                names = Tag.objects.order_by("name").values_list("name", flat=True)
                assert [n async for n in names] == ["async-a", "sync-a"]
                raise ZeroDivisionError
        assert receivers == [await abackend_pid()] * 2
        assert not await Tag.objects.aexists()
        assert not await Author.objects.aexists()


async def test_a_failing_asynchronous_receiver_fails_the_save() -> None:
    async def fail(**kwargs: Any) -> None:
        raise ZeroDivisionError

    async with new_connection():
        with (
            receiving(fail, post_save, sender=Author),
            pytest.raises(ZeroDivisionError),
        ):
            await Author.objects.acreate(name="a")
        assert await abackend_pid()


async def test_on_commit() -> None:
    seen: list[Any] = []

    def callback() -> None:
        seen.append(("sync", Author.objects.count(), backend_pid()))

    async def acallback() -> None:
        seen.append(("async", await Author.objects.acount(), await abackend_pid()))

    async with new_connection():
        async with transaction.atomic():
            await Author.objects.acreate(name="a")
            transaction.on_commit(callback)
            transaction.on_commit(acallback)
            async with transaction.atomic():
                transaction.on_commit(acallback)
            assert seen == []
        here = await abackend_pid()
        assert seen == [("sync", 1, here), ("async", 1, here), ("async", 1, here)]
        seen.clear()
        with pytest.raises(ZeroDivisionError):
            async with transaction.atomic():
                transaction.on_commit(callback)
                transaction.on_commit(acallback)
                raise ZeroDivisionError
        assert seen == []


async def test_robust_on_commit_survives_a_failing_coroutine(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen = []

    async def fail() -> None:
        raise ZeroDivisionError

    async def succeed() -> None:
        seen.append(True)

    async with new_connection(), transaction.atomic():
        transaction.on_commit(fail, robust=True)
        transaction.on_commit(succeed)
    assert seen == [True]
    assert "fail" in caplog.text


async def test_run_sync_is_ordinary_django() -> None:
    def work(name: str, *, times: int) -> list[str]:
        with transaction.atomic():
            for i in range(times):
                Author.objects.create(name=f"{name}{i}")
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            Author.objects.all().delete()
            raise ZeroDivisionError
        return [author.name for author in Author.objects.order_by("pk")]

    async with new_connection():
        assert await run_sync(work, "a", times=2) == ["a0", "a1"]
        assert await run_sync(backend_pid) == await abackend_pid()


async def test_async_to_sync_on_the_bridge_shares_the_loop() -> None:
    async def ask() -> tuple[Any, int]:
        return asyncio.get_running_loop(), await abackend_pid()

    async with new_connection():
        loop, used = await run_sync(async_to_sync(ask))
        assert loop is asyncio.get_running_loop()
        assert used == await abackend_pid()


async def make_books() -> None:
    publisher = await Publisher.objects.acreate(name="p")
    mentor = await Author.objects.acreate(name="m")
    author = await Author.objects.acreate(name="a", mentor=mentor)
    for title in ("one", "two"):
        book = await Book.objects.acreate(
            title=title, author=author, publisher=publisher
        )
        await book.tags.acreate(name=title)


async def test_afetch_related_on_an_instance() -> None:
    async with new_connection():
        await make_books()
        book = await Book.objects.afirst()
        with pytest.raises(SynchronousOnlyOperation):
            book.author  # noqa: B018 - not loaded yet
        assert await afetch_related(book, "author__mentor", "publisher", "tags") is book
        assert book.author.mentor.name == "m"
        assert book.publisher.name == "p"
        assert [tag.name for tag in book.tags.all()] == ["one"]


async def test_afetch_related_on_a_list() -> None:
    queries = Queries()
    async with new_connection() as conn:
        await make_books()
        books = [book async for book in Book.objects.order_by("pk")]
        with conn.execute_wrapper(queries):
            assert await afetch_related(books, "author__mentor") is books
        assert [book.author.mentor.name for book in books] == ["m", "m"]
        assert len(queries) == 2  # one per level
        assert await afetch_related([], "author") == []


async def test_afetch_related_names_a_wrong_lookup() -> None:
    async with new_connection():
        await make_books()
        book = await Book.objects.afirst()
        with pytest.raises(AttributeError, match="nonsense"):
            await afetch_related(book, "nonsense")
