"""Models with Django's PostgreSQL fields, and with fields of a project's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.postgres import fields as postgres
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F
from django.test.utils import isolate_apps

from tests.support.containers import Containers
from tests.support.tables import Isolated, table_of


class OfType(models.Field):
    """A column of any type, which Django takes as psycopg loads it."""

    def __init__(self, type_: str = "", **kwargs: Any) -> None:
        self.type = type_
        super().__init__(null=True, **kwargs)

    def db_type(self, connection: Any) -> str:
        return self.type

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, [self.type, *args], kwargs


# Apart from the test application: their tables exist only while they are tested.
with isolate_apps("tests.testapp"):

    class Shelf(Containers):
        """What every server has."""

        numbers = postgres.ArrayField(models.IntegerField(null=True), null=True)
        documents = postgres.ArrayField(models.JSONField(null=True), null=True)
        words = SearchVectorField(null=True)
        size = models.IntegerField(default=1)
        double = models.GeneratedField(
            expression=F("size") * 2,
            output_field=models.IntegerField(),
            db_persist=True,
        )

    class Sack(Isolated):
        """What needs extensions."""

        pairs = postgres.HStoreField(null=True)
        many = postgres.ArrayField(postgres.HStoreField(null=True), null=True)
        name = OfType("citext")
        names = postgres.ArrayField(OfType("citext"), null=True)

    class Own(Isolated):
        """Fields that Django knows nothing of; the enum is made by the test."""

        place = OfType("point")
        card = OfType("macaddr")
        flags = OfType("bit(3)")
        mood = OfType("testmood")

    class Priced(Isolated):
        price = OfType("money")
        size = models.IntegerField(default=1)


@contextmanager
def table(alias: str, model: Any) -> Iterator[Any]:
    with table_of(model, using=alias):
        yield model.objects.using(alias).order_by("pk")
