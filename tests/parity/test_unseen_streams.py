"""Streams that nobody can tell from Django's: in synchronous code, on the bridge, awaited.

Each program is run with Django's own iterables first; the others must give the same.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import psycopg
import pytest
from django.db import Error, connections, transaction
from django.db.models import F, Func, IntegerField, Value
from django.db.models.functions import Cast, Length

from django_async_fast import bridge, new_connection, run_sync
from tests.support.describe import outcome
from tests.support.signals import receiving
from tests.support.sql import execute
from tests.testapp.models import Author, Tag

pytestmark = pytest.mark.core

ROWS = 60
DIRTY = 25

Until = Callable[..., None]
Program = Callable[[Until], Any]


def synchronously(
    rows: Any, size: int, stop: Callable[[Any], bool], body: Any = None
) -> None:
    """Read `rows` until `stop(row)`, with `body(row)` before that; leave by break."""
    for row in rows.iterator(size):
        if body:
            body(row)
        if stop(row):
            break


def awaited(rows: Any, size: int, stop: Any, body: Any = None) -> None:
    async def read() -> None:
        async for row in rows.aiterator(size):
            if body:
                await run_sync(body, row)
            if stop(row):
                break

    bridge.await_(read())


def never(row: Any) -> bool:
    return False


def at_once(row: Any) -> bool:
    return True


@pytest.fixture(autouse=True)
def authors(admin: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """Fill the table; yield another session."""
    admin.execute(
        "INSERT INTO testapp_author (id, name) SELECT i, CASE WHEN i = %s "
        "THEN 'dirty' ELSE i::text END FROM generate_series(1, %s) AS i",
        [DIRTY, ROWS],
    )
    yield admin
    connections.close_all()


@pytest.fixture
def in_each_way(
    authors: Any, without_core: Any, configured: Any
) -> Callable[[Program], Any]:
    """Run a program in each way; return what Django gives, once all give it."""

    def on_the_bridge(program: Program, until: Until) -> Any:
        async def main() -> Any:
            async with new_connection():
                return await run_sync(outcome, program, until)

        return asyncio.run(main())

    def run(program: Program) -> Any:
        with without_core():
            expected = outcome(program, synchronously)
        found = {
            "sync": outcome(program, synchronously),
            "bridge": on_the_bridge(program, synchronously),
            "async": on_the_bridge(program, awaited),
        }
        assert found == dict.fromkeys(found, expected)
        return expected

    return run


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """`configured("-c statement_timeout=300")`: every session is begun so."""

    def configure(options: str) -> None:
        known = connections["default"].settings_dict
        for each in (connections.settings["default"], known):
            changed = {**each["OPTIONS"], "options": options}
            monkeypatch.setitem(each, "OPTIONS", changed)
        connections.close_all()

    yield configure
    connections.close_all()


# ----- in a transaction


def numbers() -> Any:
    return Author.objects.annotate(i=Cast("name", IntegerField())).order_by("id")


def updating(seen: list[int]) -> Callable[[Any], None]:
    """Return a loop's body that notes each row, and updates it."""

    def body(row: Any) -> None:
        seen.append(row.i)
        Author.objects.filter(id=row.id).update(name=F("name"))

    return body


def test_an_error_that_the_loop_never_gets_to(in_each_way: Any) -> None:
    def program(until: Until) -> Any:
        with transaction.atomic():
            until(numbers(), 10, lambda row: row.i == 15)
            return Author.objects.count(), Author.objects.filter(id=1).update(name="1")

    assert in_each_way(program) == (ROWS, 1)


def test_an_error_comes_with_its_chunk(in_each_way: Any) -> None:
    def program(until: Until) -> Any:
        seen: list[int] = []
        with pytest.raises(Error) as raised, transaction.atomic():
            until(numbers(), 10, never, updating(seen))
        return len(seen), type(raised.value), Tag.objects.count()

    assert in_each_way(program)[0] == 20


@pytest.mark.parametrize(("size", "free"), [(1, 59), (10, 50)])
def test_rows_are_locked_as_they_are_asked_for(
    in_each_way: Any, authors: Any, size: int, free: int
) -> None:
    def program(until: Until) -> Any:
        with transaction.atomic():
            rows = Author.objects.select_for_update(skip_locked=True).order_by("id")
            until(rows, size, at_once)
            free = "SELECT id FROM testapp_author FOR UPDATE SKIP LOCKED"
            return authors.execute(free).rowcount

    assert in_each_way(program) == free


@pytest.fixture
def _sequence(authors: Any) -> Iterator[None]:
    authors.execute("CREATE SEQUENCE t_numbers")
    yield
    connections.close_all()
    authors.execute("DROP SEQUENCE t_numbers")


@pytest.mark.usefixtures("_sequence")
@pytest.mark.parametrize(("atomic", "following"), [(True, 11), (False, ROWS + 1)])
def test_numbers_are_drawn_as_they_are_asked_for_in_a_transaction(
    in_each_way: Any, authors: Any, atomic: bool, following: int
) -> None:
    draw = Func(Value("t_numbers"), function="nextval", output_field=IntegerField())

    def program(until: Until) -> Any:
        authors.execute("SELECT setval('t_numbers', 1, false)")
        with transaction.atomic() if atomic else nullcontext():
            until(Author.objects.annotate(n=draw).order_by("id"), 10, at_once)
        return authors.execute("SELECT nextval('t_numbers')").fetchone()

    assert in_each_way(program) == (following,)


SEEN_TABLES = {
    "a view": """
        ALTER TABLE testapp_author RENAME TO t_authors;
        CREATE VIEW testapp_author AS
            SELECT id, name || left(t_seen(), 0) AS name, mentor_id FROM t_authors
    """,
    "a policy": """
        ALTER TABLE testapp_author ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON testapp_author USING (t_seen() = '');
        GRANT SELECT ON testapp_author TO t_nobody;
        SET LOCAL ROLE t_nobody
    """,
}


@pytest.mark.usefixtures("_sequence")
@pytest.mark.parametrize("what", SEEN_TABLES)
def test_what_the_table_does_is_done_as_rows_are_asked_for(
    in_each_way: Any, authors: Any, what: str
) -> None:
    authors.execute("""
        CREATE FUNCTION t_seen() RETURNS text VOLATILE SECURITY DEFINER LANGUAGE sql
            AS $$ SELECT left(nextval('t_numbers')::text, 0) $$;
        CREATE ROLE t_nobody
    """)

    def program(until: Until) -> Any:
        authors.execute("SELECT setval('t_numbers', 1, false)")
        with transaction.atomic():
            execute(SEEN_TABLES[what])
            until(Author.objects.only("id", "name"), 10, at_once)
            transaction.set_rollback(True)
        return authors.execute("SELECT nextval('t_numbers')").fetchone()

    try:
        assert in_each_way(program) == (11,)
    finally:
        connections.close_all()
        authors.execute("DROP ROLE t_nobody; DROP FUNCTION t_seen")


def test_a_lock_of_a_row_further_on_is_not_waited_for(
    in_each_way: Any, authors: Any, dsn: str, configured: Any
) -> None:
    configured("-c lock_timeout=1s")

    def program(until: Until) -> Any:
        with psycopg.connect(dsn) as holder:
            holder.execute("SELECT FROM testapp_author WHERE id = 15 FOR UPDATE")
            with transaction.atomic():
                locked = Author.objects.select_for_update().order_by("id")
                until(locked, 10, at_once)
                return Author.objects.filter(id=1).update(name=F("name"))

    assert in_each_way(program) == 1


@pytest.mark.parametrize("to_savepoint", [False, True])
def test_a_stream_ends_with_its_transaction(
    in_each_way: Any, to_savepoint: bool
) -> None:
    def program(until: Until) -> Any:
        seen: list[int] = []

        def body(row: Any) -> None:
            seen.append(row.id)
            if row.id == 5:
                execute("ROLLBACK TO s" if to_savepoint else "COMMIT")

        with pytest.raises(Error, match="does not exist"), transaction.atomic():
            if to_savepoint:
                execute("SAVEPOINT s")
            until(Author.objects.order_by("id"), 10, never, body)
        return seen

    assert in_each_way(program) == [*range(1, 11)]


# ----- in autocommit mode


def test_an_error_comes_before_the_first_row(in_each_way: Any) -> None:
    def program(until: Until) -> Any:
        seen: list[int] = []
        with pytest.raises(Error) as raised:
            until(numbers(), 10, never, updating(seen))
        return seen, type(raised.value)

    assert in_each_way(program)[0] == []


# ----- slow readers


LIMIT = 1.0  # seconds


def slow(until: Until, rows: int = 20, seconds: float = 1.2 * LIMIT) -> int:
    """Read the table slowly: the first chunks but the last."""
    seen: list[int] = []

    def body(row: Any) -> None:
        seen.append(row.id)
        if len(seen) % 10 == 1 and len(seen) < rows - 10:
            time.sleep(seconds)

    until(Author.objects.order_by("id")[:rows], 10, never, body)
    return len(seen)


@pytest.fixture
def wide(authors: Any) -> Iterator[None]:
    """A chunk of ten rows is more than the socket's buffers take."""

    def shrink(connection: Any, **kwargs: Any) -> None:
        with socket.socket(fileno=os.dup(connection.connection.pgconn.socket)) as ours:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)

    connections.close_all()
    authors.execute("""
        ALTER TABLE testapp_author ALTER name TYPE text;
        ALTER TABLE testapp_author ALTER name SET STORAGE EXTERNAL;
        UPDATE testapp_author SET name = repeat('x', 800000) WHERE id <= 40
    """)
    with receiving(shrink):
        yield
    connections.close_all()
    authors.execute("""
        TRUNCATE testapp_author CASCADE;
        ALTER TABLE testapp_author ALTER name TYPE varchar(100)
    """)


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("atomic", [False, True])
def test_slower_than_a_statement_may_be(
    in_each_way: Any, configured: Any, atomic: bool
) -> None:
    configured(f"-c statement_timeout={LIMIT}s")

    def program(until: Until) -> Any:
        with transaction.atomic() if atomic else nullcontext():
            return slow(until)

    assert in_each_way(program) == 20


@pytest.mark.usefixtures("wide")
def test_slower_than_a_statement_may_be_from_now_on(in_each_way: Any) -> None:
    def program(until: Until) -> Any:
        seen: list[int] = []

        def body(row: Any) -> None:
            seen.append(row.id)
            if row.id == 5:
                execute(f"SET LOCAL statement_timeout = '{LIMIT}s'")
            elif row.id == 21:  # a chunk later, perhaps with the next one on its way
                time.sleep(1.2 * LIMIT)

        with transaction.atomic():
            until(Author.objects.order_by("id")[:40], 10, never, body)
        return len(seen)

    assert in_each_way(program) == 40


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [
        ("idle_in_transaction_session_timeout=100", 0.2),
        (f"transaction_timeout={LIMIT}s", 0.3),
    ],
)
def test_slower_than_a_transaction_may_be(
    in_each_way: Any, configured: Any, authors: Any, limit: str, seconds: float
) -> None:
    if limit.startswith("transaction") and authors.info.server_version < 170000:
        pytest.skip("PostgreSQL before 17 has no transaction_timeout")
    configured(f"-c {limit}")

    def program(until: Until) -> Any:
        return slow(until, ROWS, seconds)

    assert in_each_way(program) == ROWS


# ----- while the loop's body works


def states(other: Any) -> list[str]:
    """Return what the sessions of the test do."""
    rows = other.execute(
        "SELECT state FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND backend_type = 'client backend' "
        "AND (query LIKE '%testapp_author%' OR query LIKE '%_django_curs_%')"
    )
    return [state for (state,) in rows if state != "idle"]


def test_a_short_stream_holds_nothing(in_each_way: Any, authors: Any) -> None:
    def program(until: Until) -> Any:
        found: list[Any] = []

        def body(row: Any) -> None:
            if not found:
                found.append(states(authors))
                authors.execute(
                    "SET lock_timeout = '1s';"
                    "ALTER TABLE testapp_author ALTER mentor_id SET DEFAULT NULL"
                )

        until(Author.objects.order_by("id"), 100, never, body)
        return found

    assert in_each_way(program) == [[]]


def test_annotated_rows_stay_the_same(in_each_way: Any) -> None:
    def program(until: Until) -> Any:
        seen: list[Any] = []
        rows = Author.objects.annotate(n=Length("name")).order_by("id")
        until(rows, 7, never, lambda row: seen.append((row.name, row.n)))
        return seen

    assert len(in_each_way(program)) == ROWS
