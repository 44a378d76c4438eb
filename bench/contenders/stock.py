"""Stock Django, in a process that has never imported this package.

`uninstall()` takes every seam out again, but a process that has had them is not the
same: classes of Django's have been modified, which the interpreter's caches remember,
and greenlet and the compiled parts are loaded. Here there is nothing to trust.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.contenders import Contender
from bench.shop import settings
from bench.turn import TASKS, Turn

CHUNK = 2_000


class This(Contender):
    title = "stock Django"
    packages = ("Django", "psycopg", "psycopg-pool")
    process = "stock"
    must_not_import = ("django_async_fast", "greenlet")

    async def open(self) -> None:
        settings.configure(self.dsn, self.pool_size)
        from django.db import connections

        from bench.shop.models import Person

        self.connections = connections
        self.person = Person
        self.pooled = Person.objects.using("pooled")
        # As many as a server of that many threads has.
        self.all_threads = ThreadPoolExecutor(TASKS)
        # With a connection each, for good.
        self.few_threads = ThreadPoolExecutor(self.pool_size)
        await Person.objects.aget(pk=1)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self.all_threads, self._get_pooled, 1)

    async def stream_instances(self, turn: Turn) -> None:
        await turn.stream(lambda: self.person.objects.aiterator(CHUNK))

    # values_list() and values() have no working aiterator() in every version of
    # Django that is supported: SynchronousOnlyOperation.
    async def stream_tuples(self, turn: Turn) -> None:
        await turn.stream(lambda: self.person.objects.values_list())

    async def stream_dicts(self, turn: Turn) -> None:
        await turn.stream(lambda: self.person.objects.values())

    def stream_instances__sync(self, turn: Turn) -> None:
        turn.loop(lambda: self.person.objects.iterator(CHUNK))

    def stream_tuples__sync(self, turn: Turn) -> None:
        turn.loop(lambda: self.person.objects.values_list().iterator(CHUNK))

    def stream_dicts__sync(self, turn: Turn) -> None:
        turn.loop(lambda: self.person.objects.values().iterator(CHUNK))

    async def cached_queryset(self, turn: Turn) -> None:
        await turn.stream(lambda: self.person.objects.all())

    def sync_list(self, turn: Turn) -> None:
        turn.loop(lambda: list(self.person.objects.all()))

    def sync_iterator(self, turn: Turn) -> None:
        turn.loop(lambda: self.person.objects.iterator(CHUNK))

    async def select_related(self, turn: Turn) -> None:
        people = self.person.objects.select_related("company__city")
        await turn.stream(lambda: people.aiterator(CHUNK))

    def select_related__sync_list(self, turn: Turn) -> None:
        people = self.person.objects.select_related("company__city")
        turn.loop(lambda: list(people.all()))

    async def get_by_key(self, turn: Turn) -> None:
        await turn.repeat(lambda key: self.person.objects.aget(pk=key))

    def get_by_key__sync(self, turn: Turn) -> None:
        turn.repeat_sync(lambda key: self.person.objects.get(pk=key))

    async def gets_side_by_side(self, turn: Turn) -> None:
        """All in the one thread that Django has for them."""
        await turn.tasks(lambda key: self.person.objects.aget(pk=key))

    def gets_side_by_side__threads(self, turn: Turn) -> None:
        """As many threads as connections: what Django can do best."""
        turn.threads(lambda key: self.person.objects.get(pk=key), self.few_threads)

    def units_of_work(self, turn: Turn) -> None:
        """64 threads share Django's own pool."""

        def unit(key: int) -> list[Any]:
            try:
                return [self.pooled.get(pk=k) for k in turn.unit_keys(key)]
            finally:
                self.connections["pooled"].close()

        turn.threads(unit, self.all_threads)

    async def units_of_work__aget(self, turn: Turn) -> None:
        async def unit(key: int) -> list[Any]:
            get = self.person.objects.aget
            return [await get(pk=k) for k in turn.unit_keys(key)]

        await turn.tasks(unit)

    def _get_pooled(self, key: int) -> Any:
        try:
            return self.pooled.get(pk=key)
        finally:
            self.connections["pooled"].close()
