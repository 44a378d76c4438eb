"""Code of the project's that runs for each row may use the database, however it is read."""

from typing import Any
from unittest.mock import Mock

import pytest
from django.db import connection
from django.db.models import CharField, query
from django.db.models.functions import Lower
from django.db.models.signals import post_init

from django_async_fast import alist, new_connection, run_sync
from tests.support.fresh_python import run
from tests.support.signals import receiving
from tests.testapp.models import Author, OwnFromDb, Tag

NAMES = ["a", "b", "c"]


class Counted(CharField):
    """Its values come with the number of tags."""

    def from_db_value(self, value: Any, *rest: Any) -> str:
        return f"{value}{Tag.objects.count()}"


async def test_a_receiver_of_post_init() -> None:
    def look(instance: Author, **kwargs: Any) -> None:
        instance.tags = Tag.objects.count()

    async with new_connection():
        for name in NAMES:
            await Author.objects.acreate(name=name)
        await Tag.objects.acreate(name="t")
        read = Author.objects.order_by("name")
        with receiving(look, post_init, sender=Author):
            rows = await alist(read.aiterator(2))
            rows += [author async for author in read]
            rows += await run_sync(list, read.iterator(2))
        assert [author.tags for author in rows] == [1] * 9


async def test_a_converter() -> None:
    async with new_connection():
        for name in NAMES:
            await Author.objects.acreate(name=name)
        lower = Lower("name", output_field=Counted())
        values = Author.objects.order_by("name").values_list(lower, flat=True)
        assert [v async for v in values.aiterator(2)] == ["a0", "b0", "c0"]


async def test_from_db(monkeypatch: pytest.MonkeyPatch) -> None:
    inherited = OwnFromDb.from_db.__func__

    def from_db(cls: type[OwnFromDb], *args: Any, **kwargs: Any) -> OwnFromDb:
        made = inherited(cls, *args, **kwargs)
        made.tags = Tag.objects.count()
        return made

    monkeypatch.setattr(OwnFromDb, "from_db", classmethod(from_db))
    async with new_connection():
        for name in NAMES:
            await OwnFromDb.objects.acreate(name=name)
        assert [r.tags async for r in OwnFromDb.objects.aiterator(2)] == [0, 0, 0]


def mocked(function: Any) -> Any:
    return Mock(side_effect=function)


@pytest.mark.skipif(hasattr(query, "_get_from_db"), reason="Django 6.1 takes no other")
@pytest.mark.parametrize("kind", [staticmethod, mocked])
async def test_from_db_that_is_no_class_method(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Author(name="made")
    monkeypatch.setattr(Author, "from_db", kind(lambda *row: made))
    async with new_connection():
        await Author.objects.acreate(name="a")
        assert [author async for author in Author.objects.all()] == [made]
        assert await Author.objects.aget(name="a") is made


LEFT = """
import asyncio, django
django.setup()
from django_async_fast import new_connection
from tests.testapp.models import Tag

async def main():
    global left
    async with new_connection():
        left = aiter(Tag.objects.order_by("pk").aiterator(2))
        print((await anext(left)).name)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "ending", ["", "left_too = left, main", "import sys; sys.exit()"]
)
def test_an_iterator_that_is_left_when_the_interpreter_ends_is_silent(
    ending: str, dsn: str
) -> None:
    Tag.objects.bulk_create(Tag(name=name) for name in NAMES)
    name = connection.settings_dict["NAME"]
    program = f"""
import django
django.setup()
from django.db import connections
connections.settings["default"]["NAME"] = {name!r}
{LEFT}
{ending}
"""
    assert run(program, DJANGO_SETTINGS_MODULE="tests.settings") == "a\n"
