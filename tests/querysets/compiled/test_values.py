"""A statement that is known by one value gives for another what Django gives."""

from typing import Any

import pytest
from django.db import transaction
from django.db.models import F

from django_async_fast.querysets.compiled import tree
from tests.support.describe import described
from tests.testapp.models import Author, Book, Tag

pytestmark = pytest.mark.core


@pytest.fixture
def tags() -> list[Tag]:
    author = Author.objects.create(name="a")
    tags = [Tag.objects.create(pk=pk, name=f"t{pk}") for pk in (1, 2)]
    for tag in tags:
        book = Book.objects.create(title=tag.name, author=author, pages=tag.pk)
        book.tags.add(tag)
    return tags


def outcome(queryset: Any) -> Any:
    try:
        return described(list(queryset.order_by("pk")))
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize("value", [0, 2, "1", "2"])
@pytest.mark.parametrize("name", ["tags", "tags__pk", "readers__pk", "tags__gte"])
def test_what_is_excluded_by_a_relation_of_many(
    name: str, value: Any, tags: list[Tag]
) -> None:
    tree.clear()
    for _ in range(3):
        # To be true or false is asked of the subquery: its value must not be.
        list(Book.objects.exclude(**{name: type(value)(1)}).order_by("pk"))
    known = Book.objects.exclude(**{name: value})
    query = known.all()
    assert query.query is not None
    assert outcome(known) == outcome(query)


@pytest.mark.parametrize("values", [(1, 2, 3), (1,), (2, 1), [1, 2], (None, 2)])
def test_a_range_of_so_many(values: Any, tags: list[Tag]) -> None:
    def read(queryset: Any) -> Any:
        with transaction.atomic():
            return outcome(queryset)

    def write(queryset: Any) -> Any:
        try:
            with transaction.atomic():
                return queryset.update(pages=F("pages"))
        except Exception as error:
            return type(error), str(error)

    for do in (read, write):
        for other in (type(values)((1, 2)), values):
            query = Book.objects.filter(pages__range=other).all()
            assert query.query is not None
            wanted = do(query)
            for _ in range(4):
                assert do(Book.objects.filter(pages__range=other)) == wanted
