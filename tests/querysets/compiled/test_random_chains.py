"""Chains of conditions that hypothesis makes: what is sent is what Django compiles."""

from functools import reduce
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from hypothesis import given, settings
from hypothesis import strategies as st

from django_async_fast.querysets.compiled import filtered_updates
from tests.support.describe import Queries, described, outcome
from tests.support.without_seams import without
from tests.testapp.models import Author, Book

pytestmark = [pytest.mark.keep_rows, pytest.mark.core]

numbers = st.integers(-3, 3) | st.sampled_from([2**31, 2**70])
texts = st.text("ab%_'\\", max_size=3)
conditions = st.one_of(
    st.builds(lambda n: {"pages": n}, numbers),
    st.builds(lambda n, m: {"pages__gte": n, "pk__lt": m}, numbers, numbers),
    st.builds(lambda n: {"pk__in": n}, st.lists(numbers, max_size=3)),
    st.builds(lambda t: {"title": t}, texts),
    st.builds(lambda t: {"title__icontains": t}, texts),
    st.builds(lambda t: {"author__name__startswith": t}, texts),
    st.builds(lambda t, u: {"title__endswith": t, "title__contains": u}, texts, texts),
    st.builds(lambda t: {"title__in": t}, st.lists(texts, max_size=4)),
    st.builds(lambda t: {"title__in": {*t}}, st.lists(texts, max_size=1)),
    st.builds(lambda n: {"author": Author(pk=n)}, numbers),
    st.builds(lambda n: {"author_id": n}, numbers),
    st.builds(
        lambda n: {"author__in": [Author(pk=each) for each in n]},
        st.lists(st.integers(1, 4), max_size=3),
    ),
    st.builds(lambda d: {"published": d}, st.dates()),
    st.builds(lambda b: {"in_print": b}, st.booleans()),
    st.builds(lambda b: {"publisher__isnull": b}, st.booleans()),
    st.just({"published": None}),
)
steps = st.one_of(
    st.builds(lambda c: lambda qs: qs.filter(**c), conditions),
    st.builds(lambda c: lambda qs: qs.exclude(**c), conditions),
    st.builds(lambda c, d: lambda qs: qs.filter(Q(**c) | ~Q(**d)), conditions, conditions),
    st.sampled_from([
        lambda qs: qs.order_by("-pages", "pk"),
        lambda qs: qs.select_related("author"),
        lambda qs: qs.only("title", "author"),
        lambda qs: qs.all(),
    ]),
)  # fmt: skip
changes = st.fixed_dictionaries(
    {},
    optional={
        "pages": numbers | numbers.map(lambda n: F("pages") + n) | st.just(F("id")),
        "title": texts,
        "in_print": st.booleans(),
        "publisher": st.none(),
    },
)
# A chain comes again with other values: the same text must not bring the same values.
chains = st.lists(steps, max_size=3)
many = settings(max_examples=40)


@pytest.fixture(scope="module", autouse=True)
def _books(_databases: Any) -> None:
    author = Author.objects.create(name="a")
    Book.objects.bulk_create(
        Book(title=title, pages=pages, author=author)
        for pages, title in enumerate(("a", "b", "a%", "_b'", "\\"), start=-2)
    )


def made(chain: list[Any]) -> Any:
    return reduce(lambda queryset, step: step(queryset), chain, Book.objects.all())


def by_key(queryset: Any) -> Any:
    return queryset.order_by("pk")


@many
@given(chains)
def test_what_is_read(chain: list[Any]) -> None:
    with connection.execute_wrapper(expected := Queries()):
        # By a query that somebody has looked at: nobody fills in that one.
        queryset = made([by_key, *chain])
        assert queryset.query is not None
        rows = described([*queryset])
    for _ in range(3):
        with connection.execute_wrapper(queries := Queries()):
            assert described([*made([by_key, *chain])]) == rows
        assert queries == expected


def updated(chain: list[Any], values: dict[str, Any]) -> Any:
    def update() -> Any:
        with transaction.atomic():
            return made(chain).update(**values)

    with transaction.atomic(), connection.execute_wrapper(queries := Queries()):
        found = outcome(update)
        rows = [*Book.objects.order_by("pk").values_list()]
        transaction.set_rollback(True)
    return found, queries, rows


@many
@given(*[conditions] * 2, *[changes] * 2, chains)
def test_what_is_updated(
    one: dict[str, Any],
    other: dict[str, Any],
    values: dict[str, Any],
    others: dict[str, Any],
    chain: list[Any],
) -> None:
    # Each also with values of other kinds, of which the text may be another.
    by_list = [
        [lambda qs, n=n: qs.filter(pk__in=n, **one)] for n in ([1], [2, 3], [1, 1])
    ]
    for each in (chain, *by_list, [lambda qs: qs.filter(**other)]):
        for new in (values, others):
            with without([(QuerySet, "update", filtered_updates.update)]):
                expected = updated(each, new)
            for _ in range(2):
                assert updated(each, new) == expected
