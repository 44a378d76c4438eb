"""Rows that querysets read, and all there is to know of a read."""

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from django_async_fast.querysets.compiled import tree
from tests.testapp.models import Author, Book, Publisher, Tag


def fill() -> Any:
    """Create thirty books; return their authors."""
    tree.clear()
    authors = [Author.objects.create(name=f"a{i}") for i in range(3)]
    publisher = Publisher.objects.create(name="p")
    tags = [Tag.objects.create(name=f"t{i}") for i in range(3)]
    for i in range(30):
        book = Book.objects.create(
            title=f"t{i % 7}", pages=i, author=authors[i % 3], publisher=publisher
        )
        book.tags.add(*tags[i % 2 :])
        book.readers.add(authors[i % 3])
    tree.clear()
    return authors


def book(i: int) -> Book:
    return Book.objects.order_by("pk")[i]


def tag(i: int) -> Tag:
    return Tag.objects.get_or_create(name=f"t{i % 3}")[0]


def listed(found: Any) -> Any:
    """Return the rows of a queryset or a stream, else what was found."""
    return list(found) if isinstance(found, QuerySet | Iterator) else found


def ids(queryset: Any) -> list[int]:
    return sorted(book.pages for book in queryset)


def path(pages: int) -> Any:
    """Return a queryset that is a path; has been one before."""
    for _ in range(3):
        queryset = Book.objects.filter(pages__lt=pages)
        list(queryset)
    queryset = Book.objects.filter(pages__lt=pages)
    assert "_query" not in vars(queryset)
    return queryset
