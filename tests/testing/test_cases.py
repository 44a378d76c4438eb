"""django_async_fast.test: Django's test cases, with tests that are coroutines."""

# ruff: noqa: PT009, PT027 - as users of unittest write them

import asyncio
import threading
import unittest
from contextvars import ContextVar
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django.db import IntegrityError, connections, transaction
from django.test import override_settings

from django_async_fast import async_connections, new_connection, run_sync
from django_async_fast.test import TestCase, TransactionTestCase, shared_connection
from tests.testapp.models import Author, Book, Profile, Tag

from .site import committed

REQUESTS = "django_async_fast.middleware.ConnectionMiddleware"

variable: ContextVar[str] = ContextVar("variable", default="unset")


class DataTests(TestCase):
    @classmethod
    def setUpTestData(cls) -> None:
        cls.author = Author.objects.create(name="a")
        cls.book = Book.objects.create(title="t", author=cls.author)

    def setUp(self) -> None:
        self.profile = Profile.objects.create(author=self.author)

    async def test_class_data(self) -> None:
        self.assertEqual(await Author.objects.aget(), self.author)
        self.assertEqual((await Book.objects.aget()).author_id, self.author.pk)
        self.assertTrue(await Profile.objects.filter(pk=self.profile.pk).aexists())

    async def test_it_is_a_copy_for_each_test_1(self) -> None:
        await self._change()

    async def test_it_is_a_copy_for_each_test_2(self) -> None:
        await self._change()

    async def _change(self) -> None:
        self.assertEqual(self.author.name, "a")
        self.assertIs(self.book.author, self.author)
        self.author.name = "changed"
        await self.author.asave()
        await self.author.books.acreate(title="another")
        self.assertEqual(await Book.objects.acount(), 2)

    def test_a_synchronous_test(self) -> None:
        self.assertEqual(Author.objects.get(), self.author)
        with self.assertNumQueries(1):
            Author.objects.count()
        self.assertNumQueries(1, Author.objects.count)
        self.assertNumQueries(1, Author.objects.acount)

    async def test_no_thread_is_involved(self) -> None:
        before = threading.active_count()
        await sync_to_async(Author.objects.count)()
        await run_sync(Author.objects.count)
        self.assertEqual(threading.active_count(), before)

    async def test_an_error_is_contained(self) -> None:
        await Tag.objects.acreate(name="a")
        with self.assertRaises(IntegrityError):
            async with transaction.atomic():
                await Tag.objects.acreate(name="a")
        self.assertEqual(await Tag.objects.acount(), 1)

    async def test_tasks(self) -> None:
        await asyncio.gather(
            *(Author.objects.aget_or_create(name=str(i)) for i in range(5))
        )
        self.assertEqual(await Author.objects.acount(), 6)

    @unittest.expectedFailure
    async def test_expected_failure(self) -> None:
        self.assertEqual(await Author.objects.acount(), 100)

    async def test_atomic_not_left(self) -> None:
        await transaction.atomic().__aenter__()
        await transaction.atomic().__aenter__()
        await Tag.objects.acreate(name="a")

    async def test_a_task_that_outlives_the_test(self) -> None:
        async def work() -> None:
            async with transaction.atomic():
                await Tag.objects.acreate(name="a")
                await asyncio.sleep(10)

        self.task = asyncio.create_task(work())
        await asyncio.sleep(0.05)

    async def test_nothing_is_committed(self) -> None:
        await Tag.objects.acreate(name="a")
        self.assertEqual(await committed(), 0)


class AsyncMethodTests(TestCase):
    events: list[str] = []

    @classmethod
    async def setUpTestData(cls) -> None:
        cls.tag = await Tag.objects.acreate(name="class")

    async def setUp(self) -> None:
        self.mine = await Tag.objects.acreate(name="mine")
        variable.set("set")

    async def tearDown(self) -> None:
        assert await Tag.objects.acount() == 2

    async def test_data(self) -> None:
        self.assertEqual(await Tag.objects.aget(name="class"), self.tag)
        self.assertEqual(await Tag.objects.aget(name="mine"), self.mine)
        self.assertEqual(variable.get(), "set")


class ChildTests(AsyncMethodTests):
    @classmethod
    async def setUpTestData(cls) -> None:
        await super().setUpTestData()
        await Tag.objects.filter(name="class").aupdate(name="renamed")
        cls.tag.name = "renamed"

    async def setUp(self) -> None:
        assert variable.get() == "unset"
        await super().setUp()

    async def test_data(self) -> None:
        self.assertEqual((await Tag.objects.aget(pk=self.tag.pk)).name, "renamed")


class OwnSetUpClassTests(TestCase):
    fixtures = ["tags.json"]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        Tag.objects.create(name="made in setUpClass")

    @classmethod
    def tearDownClass(cls) -> None:
        assert Tag.objects.count() == 2
        super().tearDownClass()

    async def test_both_are_there(self) -> None:
        self.assertEqual(await Tag.objects.acount(), 2)
        self.assertEqual((await Tag.objects.aget(pk=1001)).name, "from-a-fixture")
        self.assertEqual(await committed(), 0)


class AssertionTests(TestCase):
    databases = {"default", "other"}

    async def test_num_queries(self) -> None:
        async with self.assertNumQueries(2) as captured:
            await Tag.objects.acount()
            await Tag.objects.acount()
        self.assertIn("COUNT", captured[1]["sql"])
        with self.assertNumQueries(1):
            await Tag.objects.acount()
        async with self.assertNumQueries(1, using="other"):
            await Tag.objects.using("other").acount()
        await self.assertNumQueries(1, Tag.objects.acount)
        await self.assertNumQueries(1, Tag.objects.count)
        with self.assertRaisesRegex(AssertionError, "1 queries executed, 2 expected"):
            async with self.assertNumQueries(2):
                await Tag.objects.acount()

    async def test_on_commit_callbacks(self) -> None:
        seen: list[Any] = []

        async def later() -> None:
            seen.append(await Tag.objects.acount())

        with self.captureOnCommitCallbacks() as callbacks:
            transaction.on_commit(later)
        self.assertEqual((len(callbacks), seen), (1, []))
        async with (
            self.captureOnCommitCallbacks(execute=True) as callbacks,
            transaction.atomic(),
        ):
            transaction.on_commit(later)
            transaction.on_commit(lambda: seen.append(Tag.objects.count()))
        self.assertEqual((len(callbacks), seen), (2, [0, 0]))

    async def test_with_where_async_with_is_needed(self) -> None:
        with self.captureOnCommitCallbacks(execute=True):
            transaction.on_commit(Tag.objects.count)

        async def in_a_task() -> None:
            with (
                self.assertRaisesRegex(RuntimeError, "async with"),
                self.captureOnCommitCallbacks(execute=True),
            ):
                transaction.on_commit(Tag.objects.count)

        await asyncio.create_task(in_a_task())

    async def test_lazy_relations_are_awaited(self) -> None:
        await Book.objects.acreate(
            title="a", author=await Author.objects.acreate(name="b")
        )
        book = await Book.objects.aget()
        with self.assertNumQueries(2):
            self.assertEqual(book.author.name, "b")
            self.assertEqual([each.title for each in Book.objects.all()], ["a"])
        await self.assertNumQueries(1, Book.objects.acount)

    def test_on_commit_callbacks_in_a_synchronous_test(self) -> None:
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            transaction.on_commit(Tag.objects.count)
        self.assertEqual(len(callbacks), 1)

    async def test_an_alias_that_is_not_allowed(self) -> None:
        with self.assertRaisesRegex(AssertionError, "'pooled' are not allowed"):
            await Tag.objects.using("pooled").acount()


@override_settings(
    ROOT_URLCONF="tests.testing.site", ALLOWED_HOSTS=["*"], MIDDLEWARE=[REQUESTS]
)
class ClientTests(TestCase):
    @classmethod
    def setUpTestData(cls) -> None:
        Tag.objects.create(name="class data")

    async def test_a_view_with_a_block_of_its_own(self) -> None:
        await self._count("own-block", 2)

    async def test_a_view_in_the_middlewares_block(self) -> None:
        await self._count("middlewares-block", 2)

    async def test_a_synchronous_view(self) -> None:
        await self._count("synchronous", 2)

    async def test_a_view_that_uses_a_thread(self) -> None:
        await self._count("in-a-thread", 1)

    async def _count(self, view: str, count: int) -> None:
        response = await self.async_client.get(f"/{view}")
        self.assertEqual(response.json(), {"count": count})
        self.assertEqual(await Tag.objects.acount(), count)
        self.assertEqual(await committed(), 0)

    def test_the_synchronous_client(self) -> None:
        for view in ("own-block", "synchronous"):
            self.assertEqual(self.client.get(f"/{view}").json(), {"count": 2})
            Tag.objects.filter(name="view").delete()

    async def test_a_streaming_view(self) -> None:
        response = await self.async_client.get("/streaming")
        self.assertEqual([part async for part in response], [b"class data"])

    async def test_atomic_requests(self) -> None:
        with unittest.mock.patch.dict(
            connections.settings["default"], {"ATOMIC_REQUESTS": True}
        ):
            await self._count("middlewares-block", 2)

    async def test_what_a_view_leaves_open_is_undone(self) -> None:
        with self.assertLogs("django_async_fast", "WARNING") as logs:
            await self.async_client.get("/leaves-atomic")
        self.assertIn("GET /leaves-atomic left a transaction", logs.output[0])
        self.assertEqual(await Tag.objects.acount(), 1)

    async def test_parallel_requests_take_turns(self) -> None:
        responses = await asyncio.gather(
            *(self.async_client.get("/in-a-thread") for _ in range(5))
        )
        self.assertEqual({r.json()["count"] for r in responses}, {1})

    async def test_a_block_with_force_rollback(self) -> None:
        async with new_connection(force_rollback=True):
            await Tag.objects.acreate(name="undone")
            self.assertEqual(await Tag.objects.acount(), 2)
        self.assertEqual(await Tag.objects.acount(), 1)


class CommittingTests(TransactionTestCase):
    fixtures = ["tags.json"]

    async def test_what_a_test_does_is_committed(self) -> None:
        await Tag.objects.acreate(name="a")
        self.assertEqual(await committed(), 2)

    async def test_and_flushed(self) -> None:
        self.assertEqual(await Tag.objects.acount(), 1)
        seen = []
        async with transaction.atomic():
            transaction.on_commit(lambda: seen.append(Tag.objects.count()))
        self.assertEqual(seen, [1])

    async def test_atomic_not_left(self) -> None:
        await transaction.atomic().__aenter__()
        await Tag.objects.acreate(name="a")

    def test_a_synchronous_test(self) -> None:
        Tag.objects.create(name="a")
        self.assertEqual(async_to_sync(committed)(), 2)

    async def test_a_block_has_a_connection_of_its_own_and_its_threads(self) -> None:
        async with new_connection() as conn:
            self.assertIsNot(conn, self.connection)
            async with transaction.atomic():
                await Tag.objects.acreate(name="a")
                # The thread is the block's: it sees what is not committed.
                self.assertEqual(await sync_to_async(Tag.objects.count)(), 2)
        self.assertEqual(await sync_to_async(Tag.objects.count)(), 2)

    async def setUp(self) -> None:
        self.connection = async_connections["default"]


@unittest.skip("a skipped class")
class SkippedTests(TestCase):
    async def test_never_runs(self) -> None:
        raise AssertionError


async def test_shared_connection() -> None:
    def in_a_thread() -> int:
        return Tag.objects.count()

    async with shared_connection(force_rollback=True) as conn:
        await Tag.objects.acreate(name="a")
        async with new_connection() as joined:
            assert joined is conn
        assert await sync_to_async(in_a_thread)() == 1
        async with shared_connection() as joined:
            assert joined is conn
        assert await sync_to_async(in_a_thread)() == 1
    assert await sync_to_async(in_a_thread)() == 0
    await sync_to_async(connections.close_all)()


def test_a_shared_block_is_left_when_synchronous_code_calls_back() -> None:
    @shared_connection(force_rollback=True)
    async def work() -> int:
        await Tag.objects.acreate(name="a")
        return await sync_to_async(async_to_sync(count))()

    async def count() -> int:
        return await Tag.objects.acount()

    assert async_to_sync(work)() == 1
