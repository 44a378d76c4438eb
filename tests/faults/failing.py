"""Cases of what goes wrong in production, by their number, and ways to make it go wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from django_async_fast import new_connection
from django_async_fast.drivers.psycopg import cancellation
from tests.support.configured import configured, pool_is_whole, pool_options
from tests.support.every_await import MOST, broken_off, run
from tests.testapp.models import Author

from .conftest import Watch

# Less than what is to be left out: psycopg's two waits of five seconds, a statement that
# sleeps for thirty. A busy machine needs more than the fraction of a second that is due.
PATIENCE = 8.0

Case = Callable[[Watch], Any]


class Cases(dict[str, Case]):
    """What goes wrong, and what must then be true, by the number of the failure."""

    def numbered(self, number: int) -> Callable[[Case], Case]:
        def register(case: Case) -> Case:
            self[f"F{number}-{case.__name__}"] = case
            return case

        return register

    def run(self, name: str, watch: Watch, loop: str) -> None:
        with configured():
            run(loop, self[name](watch))


async def sleep_on_the_server(conn: Any, seconds: float) -> None:
    async with conn.acursor() as cursor:
        await cursor.execute("SELECT pg_sleep(%s)", [seconds])


@contextlib.contextmanager
def impatient(seconds: float = 0.2) -> Iterator[None]:
    """Shorten the bounds on a server that does not answer."""
    assert cancellation.CANCEL_TIMEOUT == cancellation.DRAIN_TIMEOUT == 5.0
    with (
        mock.patch.object(cancellation, "CANCEL_TIMEOUT", seconds),
        mock.patch.object(cancellation, "DRAIN_TIMEOUT", seconds),
    ):
        yield


@contextlib.contextmanager
def slow_commit(watch: Watch) -> Iterator[None]:
    """Whoever commits a new Tag waits for five seconds."""
    watch.connection.execute(
        "CREATE FUNCTION wait_a_little() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_sleep(5); RETURN NULL; END';"
        "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON testapp_tag "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_a_little()"
    )
    try:
        yield
    finally:
        watch.connection.execute("DROP FUNCTION wait_a_little CASCADE")


async def cancelled_at_every_await(use: Callable[[], Any]) -> None:
    """Assert that no slot of the pool is lost, wherever `use` is cancelled."""
    with configured(OPTIONS=pool_options()):
        await use()
        for at in range(1, MOST):
            happened, _ = await broken_off(use, at, "cancel")
            await pool_is_whole()
            if not happened:
                return
    raise AssertionError("its use has no end")


async def fill_authors(count: int) -> None:
    async with new_connection():
        await Author.objects.abulk_create(Author(name=str(i)) for i in range(count))
