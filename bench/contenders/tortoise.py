"""Tortoise ORM over asyncpg. It has no streaming: `all()` is what comes closest."""

import sys
from types import ModuleType
from typing import Any

from bench.contenders import GetsByKey
from bench.harness.timed_run import TimedRun
from bench.shop.dataset import COLUMNS


class This(GetsByKey):
    title = "Tortoise"
    packages = ("tortoise-orm", "asyncpg")

    async def open(self) -> None:
        from psycopg.conninfo import conninfo_to_dict
        from tortoise import Tortoise
        from tortoise.transactions import in_transaction

        where = conninfo_to_dict(self.dsn)
        credentials = {
            "host": where.get("host"),
            "port": where.get("port"),
            "user": where.get("user"),
            "password": where.get("password"),
            "database": where.get("dbname"),
            "minsize": self.pool_size,
            "maxsize": self.pool_size,
        }
        models = _models()
        self.person = models.Person  # type: ignore[attr-defined]
        self.in_transaction = in_transaction
        await Tortoise.init(
            config={
                "connections": {
                    "default": {
                        "engine": "tortoise.backends.asyncpg",
                        "credentials": credentials,
                    }
                },
                "apps": {"bench": {"models": [models.__name__]}},
                "use_tz": True,
                "timezone": "UTC",
            },
            _enable_global_fallback=True,
        )

    async def stream_instances(self, timed: TimedRun) -> None:
        await timed.fetch(lambda: self.person.all())

    cached_queryset = stream_instances

    async def stream_tuples(self, timed: TimedRun) -> None:
        await timed.fetch(lambda: self.person.all().values_list(*COLUMNS))

    async def stream_dicts(self, timed: TimedRun) -> None:
        await timed.fetch(lambda: self.person.all().values())

    async def select_related(self, timed: TimedRun) -> None:
        await timed.fetch(lambda: self.person.all().select_related("company__city"))

    async def _get(self, key: int) -> Any:
        return await self.person.get(id=key)


def _models() -> ModuleType:
    from tortoise import fields
    from tortoise.models import Model

    class Named(Model):
        id = fields.BigIntField(primary_key=True)
        name = fields.CharField(max_length=100)

        class Meta:
            abstract = True

    class City(Named):
        country = fields.CharField(max_length=2)

        class Meta:
            table = "bench_city"

    class Company(Named):
        rating = fields.IntField()
        city: Any = fields.ForeignKeyField("bench.City")

        class Meta:
            table = "bench_company"

    class Person(Named):
        email = fields.TextField()
        age = fields.IntField()
        company: Any = fields.ForeignKeyField("bench.Company")
        active = fields.BooleanField()
        balance = fields.DecimalField(max_digits=10, decimal_places=2)
        score = fields.FloatField()
        created = fields.DatetimeField()
        born = fields.DateField()

        class Meta:
            table = "bench_person"

    module = ModuleType("bench_tortoise_models")
    for model in (City, Company, Person):
        model.__module__ = module.__name__
        setattr(module, model.__name__, model)
    sys.modules[module.__name__] = module
    return module
