"""Copies and pickles of instances, rows and querysets tell nothing of the package.

A pickle made with it loads where it is not installed, and what comes out of it equals
what comes out of Django's own.
"""

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
import pytest
from asgiref.sync import async_to_sync
from django.db.models import Count, QuerySet
from django.db.models.functions import Upper

from django_async_fast import new_connection, run_sync
from tests.support.describe import described
from tests.support.targets import plant
from tests.testapp.models import Author, Bestseller, Book, Novel, OwnFromDb, OwnInit

pytestmark = pytest.mark.keep_rows

QUERYSETS: dict[str, Callable[[], Any]] = {
    "instances": lambda: Book.objects.order_by("pk"),
    "deferred": lambda: Book.objects.defer("title").order_by("pk"),
    "annotated": lambda: Book.objects.annotate(n=Count("tags"), u=Upper("title")).order_by("pk"),
    "select_related": lambda: Book.objects.select_related("author__mentor", "publisher").order_by("pk"),
    "prefetched": lambda: Author.objects.prefetch_related("books__tags").order_by("pk"),
    "known related": lambda: Author.objects.earliest("pk").books.order_by("pk"),
    "child": lambda: Novel.objects.all(),
    "proxy": lambda: Bestseller.objects.order_by("pk"),
    "own from_db": lambda: OwnFromDb.objects.all(),
    "own __init__": lambda: OwnInit.objects.all(),
    "raw": lambda: Book.objects.raw("SELECT id, title FROM testapp_book ORDER BY id"),
    "values": lambda: Book.objects.order_by("pk").values("pk", "author__name"),
    "values_list": lambda: Book.objects.order_by("pk").values_list("pk", "price"),
    "named": lambda: Book.objects.order_by("pk").values_list("pk", "price", named=True),
    "flat": lambda: Book.objects.order_by("pk").values_list("title", flat=True),
    "dates": lambda: Book.objects.dates("published", "year"),
}  # fmt: skip
if django.VERSION >= (6, 1):
    from django.db.models import FETCH_PEERS, FETCH_RAISE

    QUERYSETS["peers"] = lambda: Book.objects.fetch_mode(FETCH_PEERS).order_by("pk")
    QUERYSETS["raise"] = lambda: Book.objects.fetch_mode(FETCH_RAISE).order_by("pk")

Fetch = Callable[[str], list[Any]]

# A namedtuple class made by a query cannot be found again. Django's cannot either.
UNPICKLABLE = {"named"}


@pytest.fixture(scope="module", autouse=True)
def rows(_databases: object, _clean_tables_of_module: object) -> None:
    plant()
    first = Author.objects.earliest("pk")
    Author.objects.exclude(pk=first.pk).update(mentor=first)
    Novel.objects.create(title="novel", author=first, genre="crime")
    OwnFromDb.objects.create(name="x", size=3)
    OwnInit.objects.create(name="x", size=3)


def fetched(make: Callable[[], Any]) -> list[Any]:
    """Return the rows, and querysets that have run and that have not."""
    queryset = make()
    found = [list(queryset)]
    if isinstance(queryset, QuerySet):  # not a RawQuerySet: it has no pickle
        found += [queryset, make()]
    return found


async def fetched_in_a_block(name: str) -> list[Any]:
    async with new_connection():
        rows = [row async for row in await run_sync(QUERYSETS[name])]
        return [rows, *(await run_sync(fetched, QUERYSETS[name]))[1:]]


@pytest.fixture(params=["sync", "block"])
def fetch(request: pytest.FixtureRequest) -> Fetch:
    if request.param == "sync":
        return lambda name: fetched(QUERYSETS[name])
    return async_to_sync(fetched_in_a_block)


# ----- copies


@pytest.mark.parametrize("name", QUERYSETS)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copies_equal_djangos(
    name: str, copied: Callable[[Any], Any], fetch: Fetch, without_core: Any
) -> None:
    def copies(found: list[Any]) -> Any:
        rows, *querysets = found
        return [described(copied(each)) for each in (*rows, *querysets)]

    with without_core():
        expected = copies(fetched(QUERYSETS[name]))
    assert copies(fetch(name)) == expected


# ----- pickles

CHILD = """
import json, os, pickle, sys

# As if it was not installed.
sys.modules["django_async_fast"] = None
from django.conf import settings
import django
from tools.postgres import django_database

name = "django_async_fast_test"
settings.configure(
    DATABASES={"default": django_database(os.environ["DATABASE_URL"], name)},
    INSTALLED_APPS=[
        "django.contrib.contenttypes", "django.contrib.auth",
        "django.contrib.sessions", "tests.testapp",
    ],
    USE_TZ=True,
)
django.setup()
from tests.support.describe import described

found = {}
for name, pickles in pickle.load(sys.stdin.buffer).items():
    rows, *querysets = map(pickle.loads, pickles)
    found[name] = repr(described([rows, querysets, [list(each) for each in querysets]]))
json.dump(found, sys.stdout)
"""


def loaded_without_the_package(pickles: dict[str, list[bytes]]) -> dict[str, str]:
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", CHILD],
        input=pickle.dumps(pickles),
        capture_output=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert not child.stderr, child.stderr.decode()
    return json.loads(child.stdout)


def test_pickles_equal_djangos_where_the_package_is_not_installed(
    fetch: Fetch, without_core: Any
) -> None:
    names = sorted(set(QUERYSETS) - UNPICKLABLE)
    with without_core():
        theirs = {n: list(map(pickle.dumps, fetched(QUERYSETS[n]))) for n in names}
    ours = {n: list(map(pickle.dumps, fetch(n))) for n in names}
    expected, found = map(loaded_without_the_package, (theirs, ours))
    for name in names:
        assert b"django_async_fast" not in b"".join(ours[name]), name
        assert found[name] == expected[name], name
