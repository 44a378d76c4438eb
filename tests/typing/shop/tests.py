"""A project's tests: each phase may be an `async def`, where unittest has a `def`."""

from __future__ import annotations

from typing import assert_type

from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_async_fast.test import TestCase, TransactionTestCase, shared_connection

from .models import Author


class AuthorTests(TestCase):
    @classmethod
    async def setUpTestData(cls) -> None:  # type: ignore[override]
        await Author.objects.acreate(name="x")

    async def setUp(self) -> None:  # type: ignore[override]
        self.author = await Author.objects.aget(name="x")

    async def tearDown(self) -> None:  # type: ignore[override]
        await self.author.arefresh_from_db()

    async def test_queries(self) -> None:
        async with self.assertNumQueries(1) as queries:
            await Author.objects.aget()
        assert_type(queries, CaptureQueriesContext)
        await self.assertNumQueries(1, Author.objects.acount)
        async with self.captureOnCommitCallbacks(execute=True) as callbacks:
            await Author.objects.acreate(name="y")
        assert callbacks == []
        assert connection.alias == "default"


class CommittingTests(TransactionTestCase):
    def setUp(self) -> None:
        Author.objects.create(name="x")

    async def test_shared(self) -> None:
        async with shared_connection():
            assert_type(await Author.objects.acount(), int)
