"""django-async-backend: Django's models, an ORM generated from Django's."""

from typing import Any

from bench.contenders import Contender
from bench.harness.timed_run import TimedRun
from bench.shop import settings


class This(Contender):
    title = "django-async-backend"
    packages = ("django-async-backend", "Django", "psycopg", "psycopg-pool")
    process = "django_async_backend"
    must_not_import = ("django_async_fast",)

    async def open(self) -> None:
        settings.configure(
            self.dsn,
            self.pool_size,
            "django_async_backend",
            engine="django_async_backend.db.backends.postgresql",
            ASYNC_BACKEND_DISABLE_POOL_WARNING=True,
        )
        from django_async_backend.db import async_connections

        from bench.shop.models import Person

        self.connections = async_connections
        self.people = Person.async_objects  # type: ignore[attr-defined]

    async def stream_instances(self, timed: TimedRun) -> None:
        await self._stream(timed, lambda: self.people.all())

    cached_queryset = stream_instances

    async def stream_tuples(self, timed: TimedRun) -> None:
        await self._stream(timed, lambda: self.people.values_list())

    async def stream_dicts(self, timed: TimedRun) -> None:
        await self._stream(timed, lambda: self.people.values())

    async def select_related(self, timed: TimedRun) -> None:
        people = self.people.select_related("company__city")
        await self._stream(timed, lambda: people.all())

    async def get_by_key(self, timed: TimedRun) -> None:
        await self.people.aget(pk=1)
        await timed.repeat(lambda key: self.people.aget(pk=key))
        await self.connections["default"].close()

    async def gets_side_by_side(self, timed: TimedRun) -> None:
        people = self.people.using("pooled")

        async def get(key: int) -> Any:
            try:
                return await people.aget(pk=key)
            finally:
                await self.connections["pooled"].close()

        await timed.tasks(get)

    async def units_of_work(self, timed: TimedRun) -> None:
        people = self.people.using("pooled")

        async def unit(key: int) -> list[Any]:
            try:
                return [await people.aget(pk=k) for k in timed.unit_keys(key)]
            finally:
                await self.connections["pooled"].close()

        await timed.tasks(unit)

    async def _stream(self, timed: TimedRun, make: Any) -> None:
        # A connection belongs to the task that opened it: this turn's.
        await self.people.aget(pk=1)
        await timed.stream(make)
        await self.connections["default"].close()
