"""Stock Django, in a process that has never imported this package.

`uninstall()` takes every seam out again, but a process that has had them is not the
same: classes of Django's have been modified, which the interpreter's caches remember,
and greenlet and the compiled parts are loaded. Here there is nothing to trust.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.contenders.django_sync import CHUNK, DjangoSync
from bench.harness.timed_run import TASKS, TimedRun
from bench.shop import settings


class This(DjangoSync):
    title = "stock Django"
    packages = ("Django", "psycopg", "psycopg-pool")
    process = "stock"
    must_not_import = ("django_async_fast", "greenlet")

    async def open(self) -> None:
        settings.configure(self.dsn, self.pool_size)
        from django.db import connections

        from bench.shop.models import Person, Written

        self.connections = connections
        self.person = Person
        self.written = Written
        self.pooled = Person.objects.using("pooled")
        # As many as a server of that many threads has.
        self.all_threads = ThreadPoolExecutor(TASKS)
        # With a connection each, for good.
        self.few_threads = ThreadPoolExecutor(self.pool_size)
        await Person.objects.aget(pk=1)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self.all_threads, self._get_pooled, 1)

    async def stream_instances(self, timed: TimedRun) -> None:
        await timed.stream(lambda: self.person.objects.aiterator(CHUNK))

    # values_list() and values() have no working aiterator() in every version of
    # Django that is supported: SynchronousOnlyOperation.
    async def stream_tuples(self, timed: TimedRun) -> None:
        await timed.stream(lambda: self.person.objects.values_list())

    async def stream_dicts(self, timed: TimedRun) -> None:
        await timed.stream(lambda: self.person.objects.values())

    async def cached_queryset(self, timed: TimedRun) -> None:
        await timed.stream(lambda: self.person.objects.all())

    async def select_related(self, timed: TimedRun) -> None:
        people = self.person.objects.select_related("company__city")
        await timed.stream(lambda: people.aiterator(CHUNK))

    async def get_by_key(self, timed: TimedRun) -> None:
        await timed.repeat(lambda key: self.person.objects.aget(pk=key))

    async def gets_side_by_side(self, timed: TimedRun) -> None:
        """All in the one thread that Django has for them."""
        await timed.tasks(lambda key: self.person.objects.aget(pk=key))

    def gets_side_by_side__threads(self, timed: TimedRun) -> None:
        """As many threads as connections: what Django can do best."""
        timed.threads(lambda key: self.person.objects.get(pk=key), self.few_threads)

    def units_of_work(self, timed: TimedRun) -> None:
        """64 threads share Django's own pool."""

        def unit(key: int) -> list[Any]:
            try:
                return [self.pooled.get(pk=k) for k in timed.unit_keys(key)]
            finally:
                self.connections["pooled"].close()

        timed.threads(unit, self.all_threads)

    async def units_of_work__aget(self, timed: TimedRun) -> None:
        async def unit(key: int) -> list[Any]:
            get = self.person.objects.aget
            return [await get(pk=k) for k in timed.unit_keys(key)]

        await timed.tasks(unit)

    def _get_pooled(self, key: int) -> Any:
        try:
            return self.pooled.get(pk=key)
        finally:
            self.connections["pooled"].close()
