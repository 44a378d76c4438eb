"""Paths that threads learn and take at once, and values that none of them keeps."""

import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, models
from django.db.models import Q

from django_async_fast.querysets.compiled import tree
from django_async_fast.querysets.compiled.paths import STEPS
from tests.testapp.models import Author, Book

from .reading_books import ids, path


class Title(str):
    __slots__ = ("__weakref__",)


def test_no_value_stays(books: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a request has given to its queries is gone when they are."""
    values = []

    class Name(models.CharField):
        def get_prep_value(self, value: Any) -> Any:
            made = Title(value)
            values.append(weakref.ref(made))
            return made

    with monkeypatch.context() as patch:
        patch.setattr(Author._meta.get_field("name"), "__class__", Name)
        for i in range(6):
            author = Author.objects.get(pk=books[0].pk)
            values.append(weakref.ref(author))
            list(Book.objects.filter(author=author, pages__in=[i]))
            list(author.books.filter(author__name=f"secret {i}"))
            Author.objects.filter(Q(name=f"secret {i}") | Q(pk=i)).count()
            Author.objects.filter(name__in=[f"secret {i}"]).exists()
            list(Author.objects.exclude(name__contains=f"secret {i}")[:3])
    del author
    gc.collect()
    assert len(values) > 20
    assert [value() for value in values if value() is not None] == []


def in_four_threads(work: Callable[[int], None]) -> None:
    together = threading.Barrier(4)

    def run(thread: int) -> None:
        together.wait(20)
        try:
            work(thread)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))


def test_threads_learn_and_hit_at_once(books: Any) -> None:
    def work(thread: int) -> None:
        for turn in range(40):
            pages = (thread * 7 + turn) % 25
            if turn % 10 == 0 and thread == 0:
                tree.clear()
            made = Book.objects.filter(pages__gte=pages).order_by("pages")[:3]
            assert [book.pages for book in made] == [pages, pages + 1, pages + 2]
            assert Book.objects.filter(pages__lt=pages).count() == pages

    in_four_threads(work)


def test_a_shared_queryset_in_threads(books: Any) -> None:
    shared = path(20)

    def work(thread: int) -> None:
        for pages in range(20):
            assert ids(shared.filter(pages=pages)) == [pages]
            assert shared.all().count() == 20
            assert len(shared.all()[:4]) == 4

    in_four_threads(work)


def test_a_step_that_is_learnt_while_all_is_forgotten_is_forgotten_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Name(models.CharField):
        def get_prep_value(self, value: Any) -> Any:
            if value == "forget" and not done:
                done.append(value)
                tree.clear()
            return super().get_prep_value(value)

    done: list[str] = []
    monkeypatch.setattr(Author._meta.get_field("name"), "__class__", Name)
    Author.objects.filter(name="a")
    found = Author.objects.filter(name="forget")
    assert STEPS.is_forgotten(found)
    assert [*found] == []
    assert not Author.objects.filter(name="a").exists()
