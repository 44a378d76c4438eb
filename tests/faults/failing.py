"""Cases of what goes wrong in production, by their number, and ways to make it go wrong."""

from collections.abc import Callable
from typing import Any

from django_async_fast import new_connection
from tests.support.configured import configured
from tests.support.every_await import run
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


async def fill_authors(count: int) -> None:
    async with new_connection():
        await Author.objects.abulk_create(Author(name=str(i)) for i in range(count))
