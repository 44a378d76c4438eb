"""asyncpg: rows, no objects. The yardstick among drivers."""

import io
from collections.abc import Awaitable
from typing import Any

from bench.contenders import Contender
from bench.harness.timed_run import TimedRun
from bench.shop import dataset

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

    async def stream_instances(self, timed: TimedRun) -> None:
        await timed.fetch(lambda: self.connection.fetch(dataset.PERSONS))

    async def stream_instances__cursor(self, timed: TimedRun) -> None:
        async with self.connection.transaction():
            await timed.stream(
                lambda: self.connection.cursor(dataset.PERSONS, prefetch=CHUNK)
            )

    # A record is a tuple and a dict at once.
    stream_tuples = stream_dicts = cached_queryset = stream_instances
    stream_tuples__cursor = stream_dicts__cursor = stream_instances__cursor

    async def select_related(self, timed: TimedRun) -> None:
        await timed.fetch(lambda: self.connection.fetch(dataset.RELATED))

    async def export_csv(self, timed: TimedRun) -> None:
        file = io.BytesIO()
        how = {"output": file, "format": "csv", "header": True}
        await timed.copy(
            lambda: _moved(self.connection.copy_from_query(dataset.PERSONS, **how))
        )

    async def import_tuples(self, timed: TimedRun) -> None:
        await self.connection.execute(dataset.EMPTY)
        copy = self.connection.copy_records_to_table
        rows = dataset.people(timed.rows)
        await timed.copy(lambda: _moved(copy("bench_written", records=rows)))

    async def get_by_key(self, timed: TimedRun) -> None:
        query = f"{dataset.PERSON} $1"
        await timed.repeat(lambda key: self.connection.fetchrow(query, key))

    async def gets_side_by_side(self, timed: TimedRun) -> None:
        query = f"{dataset.PERSON} $1"
        await timed.tasks(lambda key: self.pool.fetchrow(query, key))

    async def units_of_work(self, timed: TimedRun) -> None:
        query = f"{dataset.PERSON} $1"

        async def unit(key: int) -> list[Any]:
            async with self.pool.acquire() as connection:
                get = connection.fetchrow
                return [await get(query, k) for k in timed.unit_keys(key)]

        await timed.tasks(unit)

    async def empty_block(self, timed: TimedRun) -> None:
        await timed.blocks(self.pool.acquire)


async def _moved(copy: Awaitable[str]) -> int:
    """Return the number in `COPY 200000`."""
    return int((await copy).split()[1])
