"""SQLAlchemy's asyncio extension over asyncpg."""

from operator import methodcaller
from typing import Any

from bench.contenders import GetsByKey
from bench.harness.timed_run import TimedRun

CHUNK = 2_000


class This(GetsByKey):
    title = "SQLAlchemy"
    packages = ("SQLAlchemy", "greenlet", "asyncpg")

    async def open(self) -> None:
        from psycopg.conninfo import conninfo_to_dict
        from sqlalchemy import URL, select
        from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
        from sqlalchemy.orm import joinedload

        from bench.contenders.sqlalchemy_models import Company, Person

        where = conninfo_to_dict(self.dsn)
        url = URL.create(
            "postgresql+asyncpg",
            username=where.get("user"),
            password=where.get("password"),
            host=where.get("host"),
            port=where.get("port") and int(where["port"]),
            database=where.get("dbname"),
        )
        self.engine = create_async_engine(url, pool_size=self.pool_size, max_overflow=0)
        # Gets have no use for a BEGIN and a ROLLBACK around each.
        autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self.session = lambda: AsyncSession(self.engine)
        self.autocommit = lambda: AsyncSession(autocommit, expire_on_commit=False)
        self.person = Person
        self.all = select(self.person)
        self.rows = select(self.person.__table__)
        self.streamed = {"yield_per": CHUNK}
        self.joined = select(self.person).options(
            joinedload(self.person.company, innerjoin=True).joinedload(
                Company.city, innerjoin=True
            )
        )

    async def stream_instances(self, timed: TimedRun) -> None:
        async with self.session() as session:
            await session.connection()
            query = self.all.execution_options(**self.streamed)
            await timed.stream(lambda: session.stream_scalars(query))

    async def stream_tuples(self, timed: TimedRun) -> None:
        async with self.engine.connect() as connection:
            query = self.rows.execution_options(**self.streamed)
            await timed.stream(lambda: connection.stream(query))

    async def stream_dicts(self, timed: TimedRun) -> None:
        async with self.engine.connect() as connection:
            query = self.rows.execution_options(**self.streamed)

            async def mappings() -> Any:
                return (await connection.stream(query)).mappings()

            await timed.stream(mappings)

    async def stream_tuples__all(self, timed: TimedRun) -> None:
        async with self.engine.connect() as connection:

            async def rows() -> Any:
                return (await connection.execute(self.rows)).all()

            await timed.fetch(rows)

    async def cached_queryset(self, timed: TimedRun) -> None:
        await self._entities(timed, self.all)

    async def select_related(self, timed: TimedRun) -> None:
        await self._entities(timed, self.joined)

    async def units_of_work(self, timed: TimedRun) -> None:
        async def unit(key: int) -> list[Any]:
            async with self.autocommit() as session:
                get = session.get
                return [await get(self.person, k) for k in timed.unit_keys(key)]

        await timed.tasks(unit)

    async def empty_block(self, timed: TimedRun) -> None:
        await timed.blocks(self.session)

    async def empty_block__connected(self, timed: TimedRun) -> None:
        await timed.blocks(self.autocommit, methodcaller("connection"))

    def plain(self, row: Any) -> tuple[Any, ...]:
        return tuple(row.values()) if hasattr(row, "keys") else super().plain(row)

    async def _get(self, key: int) -> Any:
        async with self.autocommit() as session:
            return await session.get(self.person, key)

    async def _entities(self, timed: TimedRun, query: Any) -> None:
        async with self.session() as session:
            await session.connection()

            async def entities() -> Any:
                return (await session.scalars(query)).all()

            await timed.fetch(entities)
