"""What hypothesis makes of the test project: rows, querysets."""

import datetime as dt
from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

from django.db import NotSupportedError
from django.db.models import Count, F, Prefetch, Q, QuerySet
from django.db.models.functions import Upper
from hypothesis import strategies as st

from tests.testapp.models import Tag

from .targets import AUTHORS, FIVE_BOOKS, TAGS, BookRow

# PostgreSQL stores no NUL.
text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)

book_rows = st.builds(
    BookRow,
    title=text,
    pages=st.integers(0, 2**31 - 2),
    price=st.decimals(0, 99_999_999, places=2),
    in_print=st.booleans(),
    published=st.none() | st.dates(dt.date(1, 1, 2), dt.date(9999, 12, 30)),
    author=st.integers(0, AUTHORS - 1),
    has_publisher=st.booleans(),
    tags=st.frozensets(st.integers(0, TAGS - 1)),
    stars=st.none() | st.integers(0, 5),
)
books = st.lists(book_rows, min_size=1, max_size=6).map(tuple)

Step = Callable[[Any], Any]

STEPS: dict[str, Step] = {
    "annotate": lambda qs: qs.annotate(n=Count("tags"), shouted=Upper("title")),
    "defer": lambda qs: qs.defer("title", "price"),
    "distinct": lambda qs: qs.distinct(),
    "exclude": lambda qs: qs.exclude(Q(tags__name="t0") | Q(pages=0)),
    "filter": lambda qs: qs.filter(in_print=True),
    "nothing": lambda qs: qs.filter(pk__in=[]),
    "only": lambda qs: qs.only("title"),
    "order": lambda qs: qs.order_by("-pages", F("published").desc(nulls_last=True), "pk"),
    "prefetch": lambda qs: qs.prefetch_related("tags", "author__books"),
    "prefetch to_attr": lambda qs: qs.prefetch_related(
        Prefetch("tags", Tag.objects.order_by("-name"), to_attr="labels")
    ),
    "reverse": lambda qs: qs.reverse(),
    "select_related": lambda qs: qs.select_related("author", "publisher"),
    "slice": lambda qs: qs[1:3],
    "union": lambda qs: qs.union(qs.model.objects.filter(pages__gt=100)),
}  # fmt: skip


class Querysets:
    """A queryset in steps, that says which when a test fails."""

    def __init__(self, steps: list[str]) -> None:
        self.steps = steps

    def __call__(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        # One order for all: rows must not come as the server likes.
        return reduce(_step, self.steps, queryset.order_by("pk"))

    def __repr__(self) -> str:
        return f"Querysets({self.steps})"


def _step(queryset: QuerySet[Any], name: str) -> QuerySet[Any]:
    try:
        return STEPS[name](queryset)
    except (TypeError, NotSupportedError):
        return queryset  # no such step after a slice or a union


querysets = st.lists(st.sampled_from(sorted(STEPS)), max_size=4, unique=True).map(
    Querysets
)


class Data(NamedTuple):
    rows: tuple[BookRow, ...] = FIVE_BOOKS
    queryset: Querysets = Querysets([])


data = st.builds(Data, books, querysets)
