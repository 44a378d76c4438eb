"""psycopg's asynchronous connections: rows, no objects."""

from typing import Any

from bench.contenders import Contender
from bench.harness.timed_run import TimedRun
from bench.shop import dataset

CHUNK = 2_000


class This(Contender):
    title = "psycopg"
    packages = ("psycopg", "psycopg-pool")

    async def open(self) -> None:
        from psycopg import AsyncConnection
        from psycopg_pool import AsyncConnectionPool

        self.connection = await AsyncConnection.connect(self.dsn, autocommit=True)
        await self.connection.execute("SET timezone TO 'UTC'")
        size = self.pool_size
        self.pool = AsyncConnectionPool(
            self.dsn,
            min_size=size,
            max_size=size,
            open=False,
            kwargs={"autocommit": True},
        )
        await self.pool.open(wait=True)

    async def stream_instances(self, timed: TimedRun) -> None:
        await timed.fetch(lambda: self._all(dataset.PERSONS))

    async def stream_instances__server_cursor(self, timed: TimedRun) -> None:
        async with (
            self.connection.transaction(),
            self.connection.cursor("bench", binary=True) as cursor,
        ):
            cursor.itersize = CHUNK
            await timed.stream(lambda: cursor.execute(dataset.PERSONS))

    stream_tuples = cached_queryset = stream_instances
    stream_tuples__server_cursor = stream_instances__server_cursor

    async def stream_dicts(self, timed: TimedRun) -> None:
        from psycopg.rows import dict_row

        await timed.fetch(lambda: self._all(dataset.PERSONS, row_factory=dict_row))

    async def select_related(self, timed: TimedRun) -> None:
        await timed.fetch(lambda: self._all(dataset.RELATED))

    async def get_by_key(self, timed: TimedRun) -> None:
        await timed.repeat(lambda key: self._get(self.connection, key))

    async def gets_side_by_side(self, timed: TimedRun) -> None:
        async def get(key: int) -> Any:
            async with self.pool.connection() as connection:
                return await self._get(connection, key)

        await timed.tasks(get)

    async def units_of_work(self, timed: TimedRun) -> None:
        async def unit(key: int) -> list[Any]:
            async with self.pool.connection() as connection:
                return [await self._get(connection, k) for k in timed.unit_keys(key)]

        await timed.tasks(unit)

    async def empty_block(self, timed: TimedRun) -> None:
        await timed.blocks(self.pool.connection)

    async def _all(self, query: str, **options: Any) -> list[Any]:
        cursor = self.connection.cursor(binary=True, **options)
        await cursor.execute(query)
        return await cursor.fetchall()

    async def _get(self, connection: Any, key: int) -> Any:
        query = f"{dataset.PERSON} %s"
        return await (await connection.execute(query, (key,), binary=True)).fetchone()
