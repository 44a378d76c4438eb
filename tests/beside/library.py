"""What most tools are shown: each kind of statement, each way to read rows, twice."""

from contextlib import suppress
from typing import Any

from tests.support.sql import execute


def prepare() -> None:
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)
    fill()


def fill() -> None:
    from tests.testapp.models import Author, Book, Tag

    for name in ("Ada", "Brian"):
        author = Author.objects.create(name=name)
        for number in range(3):
            Book.objects.create(title=f"{name} {number}", author=author)
    Tag.objects.create(name="first")


class Undone(Exception):
    """To leave an atomic block."""


async def program(do: Any) -> None:
    await reading(do)
    await reading(do)
    await writing(do)
    await in_transactions(do)
    await tidying(do)


async def reading(do: Any) -> None:
    from django.db.models import Count

    from tests.testapp.models import Author, Book, Tag

    books = Book.objects.order_by("pk")
    await do(books, "iterate")
    await do(books.filter(title="Ada 1"), "iterate")
    await do(Book.objects, "get", title="Ada 1")
    await do(Book.objects, "get", pk=2)
    await do(Tag.objects, "get", name="nobody's")
    await do(books, "first")
    await do(books.values_list("title", flat=True), "iterate")
    await do(books.values("pk", "author__name"), "iterate")
    await do(books.select_related("author"), "iterate")
    await do(Author.objects.order_by("pk").prefetch_related("books"), "iterate")
    await do(Author.objects.annotate(n=Count("books")).order_by("pk"), "iterate")
    await do(books, "stream", chunk_size=4)
    await do(Book.objects, "count")
    await do(Book.objects.filter(pages__gt=9), "exists")
    await do(Book.objects.raw("SELECT * FROM testapp_book ORDER BY id"), "iterate")
    await do(lambda: books.get(pk=1).author.name)
    await do(lambda: execute("SELECT title FROM testapp_book WHERE id < %s", [3]))


async def writing(do: Any) -> None:
    from tests.testapp.models import Author, Book, Tag

    author = await do(Author.objects, "create", name="Carol")
    await do(Author.objects, "get_or_create", name="Carol")
    mentored = {"mentor": author}
    await do(Author.objects, "update_or_create", name="Dan", defaults=mentored)
    await do(Author.objects.filter(name="Dan"), "update", name="Don")
    await do(author, "save")
    await do(author, "refresh_from_db")
    await do(Tag.objects, "bulk_create", [Tag(name=str(n)) for n in range(3)])
    await do(Tag.objects, "create", name="1")  # there is one
    await do(author.books, "create", title="Carol 0")
    await do(author, "delete")
    await do(Book.objects.filter(title="nobody's"), "delete")


async def in_transactions(do: Any) -> None:
    from tests.testapp.models import Tag

    async with do.atomic():
        await do(Tag.objects, "create", name="kept")
        async with do.atomic():
            await do(Tag.objects, "create", name="kept, too")
    with suppress(Undone):
        async with do.atomic():
            await do(Tag.objects, "create", name="undone")
            await do(Tag.objects, "count")
            raise Undone
    await do(Tag.objects.order_by("pk").values_list("name", flat=True), "iterate")


async def tidying(do: Any) -> None:
    """Leave what was found, so that the program can run again."""
    from tests.testapp.models import Author, Tag

    await do(Tag.objects.exclude(name="first"), "delete")
    await do(Author.objects.exclude(name__in=["Ada", "Brian"]), "delete")
