"""Where somebody may change a statement it goes as Django sends it: as text, in one go."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import connections, transaction
from django.db.backends.utils import CursorWrapper

from django_async_fast import new_connection, run_sync
from tests.support.describe import described, outcome
from tests.support.django_rows import djangos_rows
from tests.support.in_a_block import in_a_block
from tests.testapp.models import Author, Book

pytestmark = pytest.mark.keep_rows


@pytest.fixture(autouse=True, scope="module")
def _rows(_databases: Any) -> Iterator[None]:
    author = Author.objects.create(name="a")
    for title in "abc":
        Book.objects.create(title=title, author=author, pages=3)
    yield
    Author.objects.all().delete()


def books() -> Any:
    return Book.objects.order_by("pk")


def refreshed() -> Any:
    book = Book.objects.get(title="b")
    book.refresh_from_db()
    return [book]


STEPS: dict[str, Callable[[], Any]] = {
    "list": lambda: list(books()),
    "filter": lambda: list(books().filter(title="a")),
    "get": lambda: [Book.objects.get(title="b")],
    "values": lambda: list(books().values()),
    "values_list": lambda: list(books().values_list("title", "price")),
    "flat": lambda: list(books().values_list("title", flat=True)),
    "related": lambda: list(books().select_related("author")),
    "prefetch": lambda: list(books().prefetch_related("tags")),
    "refresh_from_db": refreshed,
    "iterator": lambda: list(books().iterator(2)),
    "raw": lambda: list(Book.objects.raw("SELECT * FROM testapp_book ORDER BY id")),
    "count": lambda: [books().count(), books().exists()],
    "update": lambda: [books().filter(title="a").update(pages=3)],
}


def _named(context: Any) -> bool:
    return hasattr(context["cursor"].cursor, "name")


def in_front(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    """Packages that tell triggers who it is."""
    if _named(context):
        return execute(sql, params, many, context)
    found = execute(f"SET LOCAL app.who = '7'; {sql}", params, many, context)
    while context["cursor"].nextset():
        pass
    return found


def with_params(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    if _named(context):
        return execute(sql, params, many, context)
    sql = f"SELECT set_config('app.who', %s, false); {sql}"
    found = execute(sql, ("7", *(params or ())), many, context)
    while context["cursor"].nextset():
        pass
    return found


def behind(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    more = "" if _named(context) else "; SELECT 1"
    return execute(sql + more, params, many, context)


def first_row_taken(
    execute: Any, sql: str, params: Any, many: bool, context: Any
) -> Any:
    found = execute(sql, params, many, context)
    cursor = context["cursor"]
    if cursor.description and not _named(context):
        cursor.fetchone()
    return found


def other_rows(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    if sql.startswith("SELECT") and "LIMIT" not in sql and not _named(context):
        sql = f"{sql} LIMIT 2"
    return execute(sql, params, many, context)


WRAPPERS = (in_front, with_params, behind, first_row_taken, other_rows)


def outcomes(alias: str, wrapper: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, step in STEPS.items():
        with connections[alias].execute_wrapper(wrapper):
            found[name] = outcome(lambda step=step: described(step()))
    return found


def known() -> None:
    """Let the types of every column be known."""
    for step in STEPS.values():
        step()
        step()


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("in_transaction", [False, True])
def test_execute_wrappers(wrapper: Any, in_transaction: bool) -> None:
    known()

    def here() -> dict[str, Any]:
        with ExitStack() as stack:
            if in_transaction:
                stack.enter_context(transaction.atomic())
            return outcomes("default", wrapper)

    with djangos_rows():
        # Not even `get()` is ours: it asks as Django does.
        expected = here()
    assert here() == in_a_block(here) == expected


@pytest.mark.parametrize("wrapper", [in_front, with_params, behind])
async def test_async_querysets(wrapper: Any) -> None:
    async with new_connection() as conn:
        await run_sync(known)
        with conn.execute_wrapper(wrapper):
            assert [book.title async for book in books()] == ["a", "b", "c"]
            assert (await Book.objects.aget(title="b")).title == "b"
            titles = books().values_list("title", flat=True)
            assert [title async for title in titles] == [*"abc"]
            assert [book.title async for book in books().aiterator(2)] == [*"abc"]
            book = await Book.objects.aget(title="c")
            await book.arefresh_from_db()
            assert book.title == "c"
            async with transaction.atomic():
                assert [book.title async for book in books()] == ["a", "b", "c"]


@pytest.mark.parametrize("way", ["sync", "bridge"])
def test_a_replaced_execute(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """A tool puts a statement in front without an `execute_wrapper()`."""
    known()
    execute = CursorWrapper.execute
    seen = []

    def replaced(self: Any, sql: Any, params: Any = None) -> Any:
        if hasattr(self.cursor, "name"):
            return execute(self, sql, params)
        seen.append(sql)
        found = execute(self, f"SET app.who = '7'; {sql}", params)
        while self.cursor.nextset():
            pass
        return found

    def here() -> Any:
        return {name: described(step()) for name, step in STEPS.items()}

    expected = here()
    monkeypatch.setattr(CursorWrapper, "execute", replaced)
    assert (here() if way == "sync" else in_a_block(here)) == expected
    assert len(seen) >= len(STEPS) - 1


def test_a_cursor_class_of_a_backends_own(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connections["default"]
    known()
    factory = connection.connection.cursor_factory

    class InFront(factory):  # type: ignore[misc,valid-type]
        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            super().execute(f"SET app.who = '7'; {query}", params, **options)
            while self.nextset():
                pass
            return self

    def here() -> Any:
        wanted = STEPS.keys() - {"iterator"}
        return {name: described(STEPS[name]()) for name in wanted}

    expected = here()
    monkeypatch.setattr(connection.connection, "cursor_factory", InFront)
    assert here() == expected
