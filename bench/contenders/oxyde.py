"""Oxyde: a Rust core with threads of its own, and pydantic models.

Its `values()` and `values_list()` return decimals, dates and times as strings: not the
same rows, so it takes no part there. Nor in joins: a second level fails in its core
0.7.1 ("no column found for name: company__city__id").
"""

# No `annotations` from __future__: pydantic reads those of the local models.
from typing import Any

from bench.contenders import GetsByKey
from bench.harness.timed_run import TimedRun


class This(GetsByKey):
    title = "Oxyde"
    packages = ("oxyde", "oxyde-core")

    async def open(self) -> None:
        from oxyde import db
        from oxyde.db import PoolSettings
        from psycopg.conninfo import conninfo_to_dict

        where = conninfo_to_dict(self.dsn)
        secret = f":{where['password']}" if where.get("password") else ""
        self.person = _models()
        size = self.pool_size
        await db.init(
            default=(
                f"postgresql://{where['user']}{secret}@{where['host']}"
                f":{where.get('port', 5432)}/{where['dbname']}"
            ),
            settings=PoolSettings(max_connections=size, min_connections=size),
        )

    async def stream_instances(self, timed: TimedRun) -> None:
        await timed.fetch(lambda: self.person.objects.all())

    cached_queryset = stream_instances

    async def _get(self, key: int) -> Any:
        return await self.person.objects.get(id=key)


def _models() -> Any:
    from datetime import date, datetime
    from decimal import Decimal

    from oxyde import Field, Model

    class Named(Model):
        id: int | None = Field(default=None, db_pk=True)
        name: str

    class City(Named):
        country: str

        class Meta:
            is_table = True
            table_name = "bench_city"

    class Company(Named):
        rating: int
        city: City | None = Field(default=None)

        class Meta:
            is_table = True
            table_name = "bench_company"

    class Person(Named):
        email: str
        age: int
        company: Company | None = Field(default=None)
        active: bool
        balance: Decimal
        score: float
        created: datetime
        born: date

        class Meta:
            is_table = True
            table_name = "bench_person"

    return Person
