"""This package."""

import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from operator import methodcaller
from typing import Any

from bench.contenders.django_sync import BULK, CHUNK, QUERIES, STREAMS, DjangoSync, Find
from bench.harness.timed_run import TimedRun
from bench.shop import dataset, settings


class This(DjangoSync):
    title = "django-async-fast"
    packages = ("Django", "psycopg", "psycopg-pool")

    async def open(self) -> None:
        settings.configure(self.dsn, self.pool_size, "django_async_fast")
        from django.db import transaction

        from bench.shop.models import Person, Written
        from django_async_fast import acopy_from, acopy_to, new_connection

        self.person = Person
        self.written = Written
        self.pooled = Person.objects.using("pooled")
        self.atomic = transaction.atomic
        self.new_connection = new_connection
        self.acopy_to, self.acopy_from = acopy_to, acopy_from
        async with new_connection("pooled"):
            await self.pooled.aget(pk=1)

    @asynccontextmanager
    async def block(self) -> AsyncIterator[Any]:
        """Open a block whose connection is warm."""
        async with self.new_connection() as connection:
            await self.person.objects.aget(pk=1)
            yield connection

    async def cached_queryset(self, timed: TimedRun) -> None:
        async with self.block():
            await timed.stream(lambda: self.person.objects.all())

    async def select_related(self, timed: TimedRun) -> None:
        people = self.person.objects.select_related("company__city")
        async with self.block():
            await timed.stream(lambda: people.aiterator(CHUNK))

    async def export_csv(self, timed: TimedRun) -> None:
        async with self.block():
            await timed.copy(
                lambda: self.acopy_to(self.person.objects.all(), io.BytesIO())
            )

    async def import_tuples(self, timed: TimedRun) -> None:
        rows = dataset.people(timed.rows)
        async with self.block() as connection:
            async with connection.acursor() as cursor:
                await cursor.execute(dataset.EMPTY)
            await timed.copy(lambda: self.acopy_from(self.written, rows))

    async def get_by_key(self, timed: TimedRun) -> None:
        async with self.block():
            await timed.repeat(lambda key: self.person.objects.aget(pk=key))

    async def get_by_key__atomic(self, timed: TimedRun) -> None:
        async with self.block(), self.atomic():
            await timed.repeat(lambda key: self.person.objects.aget(pk=key))

    async def get_by_key__run_sync(self, timed: TimedRun) -> None:
        """All gets in one call of a synchronous function."""
        from django_async_fast import run_sync

        async with self.block():
            get = self.person.objects.get
            await run_sync(timed.repeat_sync, lambda key: get(pk=key))

    async def gets_side_by_side(self, timed: TimedRun) -> None:
        async def get(key: int) -> Any:
            async with self.new_connection("pooled"):
                return await self.pooled.aget(pk=key)

        await timed.tasks(get)

    async def units_of_work(self, timed: TimedRun) -> None:
        async def unit(key: int) -> list[Any]:
            async with self.new_connection("pooled"):
                get = self.pooled.aget
                return [await get(pk=k) for k in timed.unit_keys(key)]

        await timed.tasks(unit)

    async def empty_block(self, timed: TimedRun) -> None:
        await timed.blocks(partial(self.new_connection, "pooled"))

    async def empty_block__connected(self, timed: TimedRun) -> None:
        """With a connection taken from the pool, and no query."""
        ensure = methodcaller("aensure_connection")
        await timed.blocks(partial(self.new_connection, "pooled"), ensure)

    async def scope_rule(self, timed: TimedRun) -> None:
        """What each statement pays for it, when nobody else is there."""
        async with self.block() as connection:
            self._pass_gate(timed, connection.gate)

    async def scope_rule__atomic(self, timed: TimedRun) -> None:
        async with self.block() as connection, self.atomic():
            self._pass_gate(timed, connection.gate)

    def scope_rule__empty_loop(self, timed: TimedRun) -> None:
        """The measurement's own cost: two calls of a method that does nothing."""
        gate = _NoGate()
        self._pass_gate(timed, gate)

    def _pass_gate(self, timed: TimedRun, gate: Any) -> None:
        times = range(timed.times)
        with timed.clock():
            for _ in times:
                gate.acquire()
                gate.release()


class _NoGate:
    def acquire(self) -> None:
        pass

    def release(self) -> None:
        pass


def _stream(rows: Callable[[Any], Any], atomic: bool) -> Any:
    async def method(self: This, timed: TimedRun) -> None:
        async with self.block(), self.atomic() if atomic else nullcontext():
            await timed.stream(lambda: rows(self.person.objects).aiterator(CHUNK))

    return method


def _in_block(find: Find, awaited: Any) -> Any:
    async def method(self: This, timed: TimedRun) -> None:
        from bench.shop.queries import Awaited

        async with self.block():
            await awaited(timed, find(), Awaited)

    return method


for _case, _rows in STREAMS.items():
    setattr(This, _case, _stream(_rows, atomic=False))
    setattr(This, f"{_case}__atomic", _stream(_rows, atomic=True))
for _case, _find in QUERIES.items():
    setattr(This, _case, _in_block(_find, TimedRun.awaited))
for _case, _find in BULK.items():
    setattr(This, _case, _in_block(_find, TimedRun.written))
