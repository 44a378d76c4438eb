"""Piccolo over asyncpg."""

from typing import Any

from bench.contenders import GetsByKey
from bench.harness.timed_run import TimedRun
from bench.shop import dataset


class This(GetsByKey):
    title = "Piccolo"
    packages = ("piccolo", "asyncpg")

    async def open(self) -> None:
        from piccolo.engine.postgres import PostgresEngine
        from psycopg.conninfo import conninfo_to_dict

        names = {"dbname": "database"}
        where = {names.get(k, k): v for k, v in conninfo_to_dict(self.dsn).items()}
        engine = PostgresEngine(config=where, extensions=())
        self.person = _models(engine)
        size = self.pool_size
        await engine.start_connection_pool(min_size=size, max_size=size)

    async def stream_instances(self, timed: TimedRun) -> None:
        await timed.fetch(lambda: self.person.objects().run())

    cached_queryset = stream_instances

    async def stream_dicts(self, timed: TimedRun) -> None:
        await timed.fetch(lambda: self.person.select().run())

    async def select_related(self, timed: TimedRun) -> None:
        company = self.person.company
        query = self.person.objects(company, company.city)
        await timed.fetch(lambda: query.run())

    def plain(self, row: Any) -> tuple[Any, ...]:
        company = dataset.COLUMNS.index("company_id")
        if isinstance(row, dict):
            return tuple(row.values())
        names = [*dataset.COLUMNS[:company], "company", *dataset.COLUMNS[company + 1 :]]
        values = [getattr(row, name) for name in names]
        # The relation's attribute holds the key, or the object if it was asked for.
        values[company] = getattr(values[company], "id", values[company])
        return tuple(values)

    async def _get(self, key: int) -> Any:
        return await self.person.objects().get(self.person.id == key)


def _models(engine: Any) -> Any:
    from piccolo import columns
    from piccolo.table import Table

    class City(Table, tablename="bench_city", db=engine):
        id = columns.BigSerial(primary_key=True)
        name = columns.Varchar(length=100)
        country = columns.Varchar(length=2)

    class Company(Table, tablename="bench_company", db=engine):
        id = columns.BigSerial(primary_key=True)
        name = columns.Varchar(length=100)
        rating = columns.Integer()
        city = columns.ForeignKey(City, db_column_name="city_id")

    class Person(Table, tablename="bench_person", db=engine):
        id = columns.BigSerial(primary_key=True)
        name = columns.Varchar(length=100)
        email = columns.Text()
        age = columns.Integer()
        company = columns.ForeignKey(Company, db_column_name="company_id")
        active = columns.Boolean()
        balance = columns.Numeric(digits=(10, 2))
        score = columns.DoublePrecision()
        created = columns.Timestamptz()
        born = columns.Date()

    return Person
