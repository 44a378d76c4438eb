"""A statement that is known by one value gives for another what Django gives."""

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from warnings import catch_warnings, simplefilter

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from django.db.models import Count, F, Q

from django_async_fast.querysets import changes
from django_async_fast.querysets.compiled import tree
from tests.support.describe import described, outcome
from tests.support.without_seams import stock
from tests.testapp.models import Author, Book, Everything, Tag

pytestmark = pytest.mark.core


@pytest.fixture
def tags() -> list[Tag]:
    author = Author.objects.create(name="a")
    tags = [Tag.objects.create(pk=pk, name=f"t{pk}") for pk in (1, 2)]
    for tag in tags:
        book = Book.objects.create(title=tag.name, author=author, pages=tag.pk)
        book.tags.add(tag)
    return tags


def rows(queryset: Any) -> Any:
    return outcome(lambda: described(list(queryset.order_by("pk"))))


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
    assert rows(known) == rows(query)


@pytest.mark.parametrize("values", [(1, 2, 3), (1,), (2, 1), [1, 2], (None, 2)])
def test_a_range_of_so_many(values: Any, tags: list[Tag]) -> None:
    def read(queryset: Any) -> Any:
        with transaction.atomic():
            return rows(queryset)

    def write(queryset: Any) -> Any:
        update = transaction.atomic(queryset.update)
        return outcome(lambda: update(pages=F("pages")))

    for do in (read, write):
        for other in (type(values)((1, 2)), values):
            query = Book.objects.filter(pages__range=other).all()
            assert query.query is not None
            wanted = do(query)
            for _ in range(4):
                assert do(Book.objects.filter(pages__range=other)) == wanted


NOW = dt.datetime(2020, 1, 1, 5)
WARNED: dict[str, Callable[[Any], Any]] = {
    "get": lambda rows: rows.filter(pk=0).get(datetime=NOW),
    "rows": lambda rows: [*rows.filter(datetime__gt=NOW)],
    "exclude": lambda rows: [*rows.exclude(datetime=NOW)],
    "or": lambda rows: rows.filter(Q(datetime=NOW) | Q(pk=1)).count(),
    "list": lambda rows: rows.filter(datetime__in=[NOW]).exists(),
    "two": lambda rows: rows.filter(datetime__range=(NOW, NOW)).first(),
    "more": lambda rows: [*rows.filter(datetime=NOW).filter(pk__gt=1).values("pk")],
    "stream": lambda rows: [*rows.filter(datetime=NOW).iterator()],
    "sum": lambda rows: rows.filter(datetime=NOW).aggregate(Count("pk")),
    "update": lambda rows: rows.filter(datetime=NOW).update(small=1),
}


@pytest.mark.not_verified
@pytest.mark.parametrize("name", WARNED)
def test_a_field_is_asked_as_often_as_by_django(name: str) -> None:
    def warnings() -> list[int]:
        found = []
        for _ in range(5):
            with catch_warnings(record=True) as warned, suppress(ObjectDoesNotExist):
                simplefilter("always")
                WARNED[name](Everything.objects.all())
            found.append(len(warned))
        return found

    with stock():
        wanted = warnings()
    changes.hold()  # notices that
    assert warnings() == wanted


@pytest.mark.parametrize("first", [["True"], ["", "True"]])
def test_null_is_excluded_as_by_the_values_of_each_call(first: list[str]) -> None:
    Everything.objects.bulk_create(
        Everything(boolean=value) for value in (None, None, True, False)
    )
    want = {
        tuple(values): sorted(
            Everything.objects.exclude(boolean__in=list(values))
            .extra(where=["true"])  # nothing is learnt of it
            .values_list("boolean", flat=True),
            key=str,
        )
        for values in (("True",), ("", "True"))
    }
    other = ["", "True"] if first == ["True"] else ["True"]
    for values in (first, first, first, other, first):
        found = Everything.objects.exclude(boolean__in=values)
        rows = sorted(found.values_list("boolean", flat=True), key=str)
        assert rows == want[tuple(values)]
        assert found.count() == len(rows)
