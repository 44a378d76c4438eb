"""SQLAlchemy's asyncio extension over asyncpg."""

# No `annotations` from __future__: the models are local to a function.
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
        self.person, company = _models()
        self.all = select(self.person)
        self.rows = select(self.person.__table__)
        self.streamed = {"yield_per": CHUNK}
        self.joined = select(self.person).options(
            joinedload(self.person.company, innerjoin=True).joinedload(
                company.city, innerjoin=True
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
        times = range(timed.times)
        with timed.clock():
            for _ in times:
                async with self.session():
                    pass

    async def empty_block__connected(self, timed: TimedRun) -> None:
        times = range(timed.times)
        with timed.clock():
            for _ in times:
                async with self.autocommit() as session:
                    await session.connection()

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


def _models() -> tuple[Any, Any]:
    from sqlalchemy import ForeignKey, Numeric, String, Text
    from sqlalchemy.dialects.postgresql import BIGINT, BOOLEAN, DATE, INTEGER, TIMESTAMP
    from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION as DOUBLE
    from sqlalchemy.orm import DeclarativeBase, mapped_column, relationship

    class Base(DeclarativeBase):
        pass

    class City(Base):
        __tablename__ = "bench_city"
        id = mapped_column(BIGINT, primary_key=True)
        name = mapped_column(String(100), nullable=False)
        country = mapped_column(String(2), nullable=False)

    class Company(Base):
        __tablename__ = "bench_company"
        id = mapped_column(BIGINT, primary_key=True)
        name = mapped_column(String(100), nullable=False)
        rating = mapped_column(INTEGER, nullable=False)
        city_id = mapped_column(ForeignKey(City.id), nullable=False)
        city = relationship(City)

    class Person(Base):
        __tablename__ = "bench_person"
        id = mapped_column(BIGINT, primary_key=True)
        name = mapped_column(String(100), nullable=False)
        email = mapped_column(Text, nullable=False)
        age = mapped_column(INTEGER, nullable=False)
        company_id = mapped_column(ForeignKey(Company.id), nullable=False)
        active = mapped_column(BOOLEAN, nullable=False)
        balance = mapped_column(Numeric(10, 2), nullable=False)
        score = mapped_column(DOUBLE, nullable=False)
        created = mapped_column(TIMESTAMP(timezone=True), nullable=False)
        born = mapped_column(DATE, nullable=False)
        company = relationship(Company)

    return Person, Company
