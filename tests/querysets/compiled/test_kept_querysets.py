"""Querysets that are made once and kept, as a view's; and what is only looked at."""

from typing import Any

import pytest

from django_async_fast.querysets.compiled import tree
from django_async_fast.querysets.compiled.paths import on
from tests.testapp.models import Author, Book, Publisher, Tag

pytestmark = [pytest.mark.core, pytest.mark.not_verified]

VIEWS = """
class AuthorView:
    queryset = Author.objects.filter(name__startswith="A").order_by("name")

books = Book.objects.select_related("author").exclude(pages=9).order_by("title")[:2]

def made_by_a_function():
    return Author.objects.filter(name__startswith="A").order_by("-name")

function = made_by_a_function()
"""


@pytest.fixture
def views() -> dict[str, Any]:
    publisher = Publisher.objects.create(name="p")
    for name in ("Anna", "Arno", "Bob"):
        author = Author.objects.create(name=name)
        Book.objects.create(
            title=f"{name}'s", pages=9, author=author, publisher=publisher
        )
        Book.objects.create(title=name, pages=7, author=author, publisher=publisher)
    tree.clear()
    module: dict[str, Any] = {"__name__": "views", "Author": Author, "Book": Book}
    exec(VIEWS, module)
    return module


def names(queryset: Any) -> list[str]:
    return [getattr(each, "title", None) or each.name for each in queryset]


def has_hit(queryset: Any) -> bool:
    before = tree.cache_info().hits
    list(queryset)
    return tree.cache_info().hits > before


def test_a_class_s_and_a_module_s_queryset(views: Any) -> None:
    for kept in (views["AuthorView"].queryset, views["books"]):
        for forget in (False, True, True):
            if forget:
                tree.clear()
            for _ in range(3):
                assert names(kept.all()) == ["Anna", "Arno"]
            assert has_hit(kept.all())
    authors = views["AuthorView"].queryset
    for name in ("Anna", "Arno", "Anna", "Bob"):
        found = names(authors.filter(name=name))
        assert found == ([name] if name != "Bob" else [])
    assert has_hit(authors.filter(name="Arno"))


def test_a_function_s_first_call_is_not_learnt(views: Any) -> None:
    assert on(views["function"]) is None
    assert names(views["function"].all()) == ["Arno", "Anna"]


def test_what_was_changed_by_hand_stays_so(views: Any) -> None:
    kept = views["AuthorView"].queryset
    kept.query.add_ordering("-name")
    kept.query.clear_ordering(force=True)
    kept.query.add_ordering("-name")
    tree.clear()
    for _ in range(3):
        assert names(kept.all()) == ["Arno", "Anna"]


def test_a_path_that_gets_no_further_is_not_only_looked_at() -> None:
    publisher = Publisher.objects.create(name="p")
    author = Author.objects.create(name="a")
    book = Book.objects.create(title="b", pages=1, author=author, publisher=publisher)
    tags = [Tag.objects.create(name=name) for name in ("x", "y", "z")]
    book.tags.add(*tags[1:])
    # After so many chains that do not repeat, what follows is Django's.
    for i in range(1, 300):
        list(book.tags.order_by(*["name"] * i))
        list(book.tags.all().order_by(*["-name"] * i))
    for _ in range(3):
        assert book.tags.earliest("pk") == book.tags.first() == tags[1]
        assert book.tags.latest("pk") == book.tags.last() == tags[2]
        assert book.tags.exclude(name="y").earliest("pk") == tags[2]
        assert set(book.tags.in_bulk()) == {tags[1].pk, tags[2].pk}
