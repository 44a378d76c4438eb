"""asyncpg: rows, no objects. The yardstick among drivers."""

from __future__ import annotations

from typing import Any

from bench import table
from bench.contenders import Contender
from bench.turn import Turn

CHUNK = 2_000


class This(Contender):
    title = "asyncpg"
    packages = ("asyncpg",)

    async def open(self) -> None:
        import asyncpg
        from psycopg.conninfo import conninfo_to_dict

        names = {"dbname": "database"}
        where = {names.get(k, k): v for k, v in conninfo_to_dict(self.dsn).items()}
        self.connection = await asyncpg.connect(**where)
        size = self.pool_size
        self.pool = await asyncpg.create_pool(min_size=size, max_size=size, **where)

    async def stream_instances(self, turn: Turn) -> None:
        await turn.fetch(lambda: self.connection.fetch(table.PERSONS))

    async def stream_instances__cursor(self, turn: Turn) -> None:
        async with self.connection.transaction():
            await turn.stream(
                lambda: self.connection.cursor(table.PERSONS, prefetch=CHUNK)
            )

    # A record is a tuple and a dict at once.
    stream_tuples = stream_dicts = cached_queryset = stream_instances
    stream_tuples__cursor = stream_dicts__cursor = stream_instances__cursor

    async def select_related(self, turn: Turn) -> None:
        await turn.fetch(lambda: self.connection.fetch(table.RELATED))

    async def get_by_key(self, turn: Turn) -> None:
        query = f"{table.PERSON} $1"
        await turn.repeat(lambda key: self.connection.fetchrow(query, key))

    async def gets_side_by_side(self, turn: Turn) -> None:
        query = f"{table.PERSON} $1"
        await turn.tasks(lambda key: self.pool.fetchrow(query, key))

    async def units_of_work(self, turn: Turn) -> None:
        query = f"{table.PERSON} $1"

        async def unit(key: int) -> list[Any]:
            async with self.pool.acquire() as connection:
                get = connection.fetchrow
                return [await get(query, k) for k in turn.unit_keys(key)]

        await turn.tasks(unit)

    async def empty_block(self, turn: Turn) -> None:
        times = range(turn.times)
        with turn.clock():
            for _ in times:
                async with self.pool.acquire():
                    pass
