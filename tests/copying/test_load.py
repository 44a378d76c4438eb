"""copy_from() and acopy_from(): rows, instances and files, in a block and outside."""

import asyncio
import io
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import FieldDoesNotExist
from django.db import DataError, NotSupportedError, models, transaction
from django.db.models import F
from django.test.utils import isolate_apps

from django_async_fast import acopy_from, acopy_to, alist, copy_from, new_connection
from tests.support.tables import Isolated, table_of
from tests.testapp.models import Author, Book, Tag, UuidKey


async def test_it_is_the_same_in_a_block_and_outside() -> None:
    names = [f"t{i}" for i in range(1_234)]
    told: list[int] = []
    async with new_connection():
        rows = ((name,) for name in names)
        assert await acopy_from(Tag, rows, ["name"], progress=told.append) == 1_234
        assert told == [500, 1_000, 1_234]
        assert [tag.name async for tag in Tag.objects.order_by("pk")] == names
        await Tag.objects.all().adelete()
    assert await acopy_from(Tag, [[name] for name in names], ["name"]) == 1_234
    assert await Tag.objects.acount() == 1_234


async def rows_of(names: list[str]) -> AsyncIterator[tuple[str]]:
    for name in names:
        await asyncio.sleep(0)
        yield (name,)


async def test_asynchronous_rows() -> None:
    names = [f"t{i}" for i in range(1_001)]
    async with new_connection():
        assert await acopy_from(Tag, rows_of(names), ["name"]) == 1_001
        assert await Tag.objects.acount() == 1_001
        await Tag.objects.all().adelete()
    assert await acopy_from(Tag, rows_of(names), ["name"]) == 1_001


async def test_asynchronous_data() -> None:
    async def data() -> AsyncIterator[bytes]:
        yield b"na"
        yield b"me\na\nb"
        yield b"b\n"

    async with new_connection():
        assert await acopy_from(Tag, data()) == 2
        assert [tag.name async for tag in Tag.objects.order_by("pk")] == ["a", "bb"]


async def test_in_a_thread_of_a_block() -> None:
    async with new_connection(), transaction.atomic():
        assert await sync_to_async(copy_from)(Tag, [("a",)], ["name"]) == 1
        assert await Tag.objects.acount() == 1
        await transaction.aset_rollback(True)
    assert await Tag.objects.acount() == 0


def test_nothing() -> None:
    assert copy_from(Tag, []) == copy_from(Tag, iter(()), ["name"]) == 0
    assert copy_from(Tag, io.BytesIO(b"name\n")) == 0


def test_keys_are_the_databases_or_given() -> None:
    copy_from(Tag, [Tag(name="a"), Tag(name="b")])
    given = [2**40, 2**40 + 1, 2**40 + 10]
    copy_from(Tag, [Tag(pk=given[0], name="c"), Tag(pk=given[1], name="d")])
    copy_from(Tag, [(given[2], "e")])
    assert [*Tag.objects.order_by("pk").values_list("name", flat=True)] == [*"abcde"]
    found = Tag.objects.filter(pk__gte=given[0]).order_by("pk")
    assert [*found.values_list("pk", flat=True)] == given
    ids = [uuid.uuid4(), uuid.uuid4()]
    copy_from(UuidKey, [UuidKey(pk=each) for each in ids])
    assert {*UuidKey.objects.values_list("pk", flat=True)} == {*ids}


def test_fields_by_any_of_their_names() -> None:
    author = Author.objects.create(name="a")
    for names in (["title", "author"], ["title", "author_id"]):
        rest = ["pages", "price", "in_print"]
        copy_from(Book, [("t", author.pk, 1, 2, True)], [*names, *rest])
    assert Book.objects.filter(author=author, price=2).count() == 2
    copy_from(Author, [(77, "b")], ["pk", "name"])
    assert Author.objects.get(pk=77).name == "b"
    with pytest.raises(FieldDoesNotExist, match="no field of its own named nothing"):
        copy_from(Book, [("t",)], ["nothing"])
    with pytest.raises(ValueError, match="named twice"):
        copy_from(Book, [(1, 2)], ["author", "author_id"])


def test_related_objects_and_pre_save(tmp_path: Path) -> None:
    author = Author(name="a")
    book = Book(title="t", author=author)
    with pytest.raises(ValueError, match="unsaved related object"):
        copy_from(Book, [book])
    author.save()
    assert copy_from(Book, [book]) == 1
    assert Book.objects.get().author == author
    assert book.pk is None


@isolate_apps("tests.testapp")
def test_fields_that_make_their_values() -> None:
    class Stamped(Isolated):
        made = models.DateTimeField(auto_now_add=True)
        day = models.DateField(auto_now=True)
        shout = models.GeneratedField(
            expression=F("number") * 2,
            output_field=models.IntegerField(),
            db_persist=True,
        )
        number = models.IntegerField(default=4)
        kind = models.CharField(max_length=5, db_default="new")

    with table_of(Stamped):
        assert copy_from(Stamped, [Stamped(), Stamped(number=5)]) == 2
        rows = [*Stamped.objects.order_by("pk").values_list("number", "shout", "kind")]
        assert rows == [(4, 8, "new"), (5, 10, "new")]
        stamped = Stamped.objects.filter(made__isnull=False, day__isnull=False)
        assert stamped.count() == 2
        place = r"row 2, field 'kind'.*"
        with pytest.raises(DataError, match=place + "first row leaves"):
            copy_from(Stamped, [Stamped(), Stamped(kind="old")])
        with pytest.raises(NotSupportedError, match=place + "no expressions"):
            copy_from(Stamped, [Stamped(kind="old"), Stamped()])


async def test_what_was_exported_is_imported(tmp_path: Path) -> None:
    async with new_connection():
        author = await Author.objects.acreate(name='Ü "quoted",\n%s')
        await Book.objects.acreate(title="", author=author, price="1.50")
        await Book.objects.acreate(title="t\r\n", author=author, in_print=False)
        books = Book.objects.order_by("pk").values_list()
        expected = await alist(books.all())
        for format in ("csv", "text", "binary"):
            path = tmp_path / f"books.{format}"
            assert await acopy_to(Book.objects.order_by("pk"), path, format=format) == 2
            await Book.objects.all().adelete()
            assert await acopy_from(Book, path, format=format) == 2
            assert await alist(books.all()) == expected


def test_headers() -> None:
    def load(text: str | bytes, *args: Any, **how: Any) -> list[tuple[Any, ...]]:
        file: Any = io.StringIO(text) if isinstance(text, str) else io.BytesIO(text)
        copy_from(Author, file, *args, **how)
        rows = [*Author.objects.order_by("pk").values_list("name", "mentor")]
        Author.objects.all().delete()
        return rows

    assert load("name,mentor\na,\n") == [("a", None)]
    assert load("mentor_id,name\n,a\n") == [("a", None)]
    assert load("\ufeffname\r\na\r\n") == [("a", None)]
    assert load(b'\xef\xbb\xbf"name"\n"a\nb"\n,c\n'[:-3]) == [("a\nb", None)]
    assert load("Full\nname\na\n"[5:]) == [("a", None)]
    assert load('"Full\nname"\na\n', {"Full\nname": "name"}) == [("a", None)]
    assert load("name\n", ["name"]) == []
    assert load("a,\n", ["name", "mentor"], header=False) == [("a", None)]
    assert load("name\tmentor\na\\tb\t\\N\n", format="text") == [("a\tb", None)]
    assert load("name\n\n") == [("", None)]  # not NULL
    for text, args, message in (
        ("nothing\n", (), "no field of its own named nothing"),
        ("", (), "has no header"),
        ("name\na\n", (["mentor"],), "The header names name, not mentor"),
        ("name\na\n", ({"Name": "name"},), "does not name Name, but name"),
    ):
        with pytest.raises((ValueError, FieldDoesNotExist), match=message):
            load(text, *args)


def test_progress_of_a_file_is_in_bytes(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text("name\n" + "".join(f"tag{i}\n" for i in range(50_000)))
    told: list[int] = []
    assert copy_from(Tag, path, progress=told.append) == 50_000
    assert told == sorted(told)
    assert told[-1] == path.stat().st_size - len("name\n")
    assert len(told) > 5


def test_iterables_of_data() -> None:
    assert copy_from(Tag, iter(["name\n", "a\n"])) == 1
    assert copy_from(Tag, [b"name\nb", b"\n"]) == 1
