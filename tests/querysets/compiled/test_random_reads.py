"""Chains of all kinds of methods that hypothesis makes, asked again and again."""

from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Case, Count, Exists, F, OuterRef, Q, Subquery, Value, When
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.describe import Queries, described, outcome
from tests.testapp.models import Author, Book, Tag

pytestmark = [pytest.mark.keep_rows, pytest.mark.core]

numbers = st.integers(-2, 4) | st.booleans() | st.sampled_from([1.0, 1.5, "1", None])
texts = st.text("ab%_'\\", max_size=2) | st.sampled_from([1, None, True])


def _named(title: Any) -> Any:
    return Author.objects.filter(pk=OuterRef("author"), name=title)


# Each is a function of a queryset, a number and a text.
KINDS = [
    lambda qs, n, t: qs.filter(pages=n),
    lambda qs, n, t: qs.filter(title=t, pages__lt=n),
    lambda qs, n, t: qs.filter(pk__in=[n, 2]),
    lambda qs, n, t: qs.filter(pages__gt=F("pk")),
    lambda qs, n, t: qs.filter(Exists(_named(t))),
    lambda qs, n, t: qs.filter(author__in=Author.objects.filter(name=t)),
    lambda qs, n, t: qs.filter(title=Subquery(_named(t).values("name")[:1])),
    lambda qs, n, t: qs.filter(Q(tags__name=t) | Q(pages=n)),
    lambda qs, n, t: qs.filter(tags=n),
    lambda qs, n, t: qs.exclude(tags=n),
    lambda qs, n, t: qs.exclude(tags__name=t),
    lambda qs, n, t: qs.exclude(publisher__name=t, pages=n),
    lambda qs, n, t: qs.exclude(tags__isnull=bool(n)),
    lambda qs, n, t: qs.filter(publisher__isnull=bool(n)),
    lambda qs, n, t: qs.annotate(count=Count("tags")),
    lambda qs, n, t: qs.annotate(count=Count("tags")).filter(count=n),
    lambda qs, n, t: qs.annotate(
        case=Case(When(pages=n, then=Value(str(t))), default=F("title"))
    ),
    lambda qs, n, t: qs.values("title", "author__name", "pk"),
    lambda qs, n, t: qs.values("author").annotate(count=Count("pk")).order_by("author"),
    lambda qs, n, t: qs.values_list("title", "pk"),
    lambda qs, n, t: qs.values_list("pages", flat=True).distinct(),
    lambda qs, n, t: qs.select_related("author", "publisher"),
    lambda qs, n, t: qs.prefetch_related("tags"),
    lambda qs, n, t: qs.only("title"),
    lambda qs, n, t: qs.defer("title"),
    lambda qs, n, t: qs.order_by("-title", "pk"),
    lambda qs, n, t: qs.order_by(F("pages").desc(nulls_last=True), "pk"),
    lambda qs, n, t: qs.reverse(),
    lambda qs, n, t: qs.distinct(),
    lambda qs, n, t: qs.union(Book.objects.filter(pages=1)).order_by("pk"),
    lambda qs, n, t: qs | Book.objects.filter(pages=0),
    lambda qs, n, t: qs[1:3],
]
BEGINNINGS = [
    lambda: Book.objects.order_by("pk"),
    lambda: Book.objects.long(),
    lambda: Author.objects.get(name="a").books.order_by("pk"),
    lambda: Tag.objects.get(name="a").books.order_by("pk"),
]
ENDS = [list, len, lambda qs: qs.count(), lambda qs: qs.exists(), lambda qs: qs.first()]
ENDS += [lambda qs: qs.get(), lambda qs: qs.last(), lambda qs: list(qs.iterator())]
steps = st.tuples(st.sampled_from(KINDS), numbers, texts)


@pytest.fixture(scope="module", autouse=True)
def _books(_databases: Any) -> None:
    author = Author.objects.create(name="a")
    tags = [Tag.objects.create(name=name) for name in "ab"]
    for pages, title in enumerate(("a", "b", "a%", "_b'", "\\"), start=-1):
        book = Book.objects.create(title=title, pages=pages, author=author)
        book.tags.set(tags[: pages % 3])


def asked(begin: Any, chain: list[Any], end: Any, look: bool = False) -> Any:
    """Return what comes of a chain; with `look` of its query, and not of its path."""
    queries = Queries()

    def ask() -> Any:
        queryset = begin()
        del queries[:]
        for step, number, text in chain:
            assert not look or queryset.query is not None
            queryset = step(queryset, number, text)
        assert not look or queryset.query is not None
        return described(end(queryset))

    with transaction.atomic(), connection.execute_wrapper(queries):
        found = outcome(ask)
        transaction.set_rollback(True)
    return found, queries


@settings(max_examples=60)
@given(
    st.sampled_from(BEGINNINGS),
    st.lists(steps, max_size=4),
    st.sampled_from(ENDS),
    st.lists(st.tuples(numbers, texts), min_size=4, max_size=4),
)
def test_what_is_asked(begin: Any, chain: Any, end: Any, others: Any) -> None:
    # Known by one chain's values, then filled in with others.
    other = [(step, *values) for (step, *_), values in zip(chain, others, strict=False)]
    for each in (chain, chain, chain, other, chain):
        assert asked(begin, each, end) == asked(begin, each, end, look=True)
