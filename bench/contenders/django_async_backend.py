"""django-async-backend: Django's models, an ORM generated from Django's."""

from __future__ import annotations

from typing import Any

from bench.contenders import Contender
from bench.shop import settings
from bench.turn import Turn


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

    async def stream_instances(self, turn: Turn) -> None:
        await self._stream(turn, lambda: self.people.all())

    cached_queryset = stream_instances

    async def stream_tuples(self, turn: Turn) -> None:
        await self._stream(turn, lambda: self.people.values_list())

    async def stream_dicts(self, turn: Turn) -> None:
        await self._stream(turn, lambda: self.people.values())

    async def select_related(self, turn: Turn) -> None:
        people = self.people.select_related("company__city")
        await self._stream(turn, lambda: people.all())

    async def get_by_key(self, turn: Turn) -> None:
        await self.people.aget(pk=1)
        await turn.repeat(lambda key: self.people.aget(pk=key))
        await self.connections["default"].close()

    async def gets_side_by_side(self, turn: Turn) -> None:
        people = self.people.using("pooled")

        async def get(key: int) -> Any:
            try:
                return await people.aget(pk=key)
            finally:
                await self.connections["pooled"].close()

        await turn.tasks(get)

    async def units_of_work(self, turn: Turn) -> None:
        people = self.people.using("pooled")

        async def unit(key: int) -> list[Any]:
            try:
                return [await people.aget(pk=k) for k in turn.unit_keys(key)]
            finally:
                await self.connections["pooled"].close()

        await turn.tasks(unit)

    async def _stream(self, turn: Turn, make: Any) -> None:
        # A connection belongs to the task that opened it: this turn's.
        await self.people.aget(pk=1)
        await turn.stream(make)
        await self.connections["default"].close()
