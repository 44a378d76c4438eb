"""The sessions that requests have on the server, by their application's name."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import psycopg
from django.db import connections

from .until import until

States = Callable[[], list[str]]


@contextmanager
def request_sessions(dsn: str) -> Iterator[States]:
    """Name the sessions of `default`; yield what returns the states of those open."""

    def states() -> list[str]:
        with psycopg.connect(dsn) as conn:
            rows = conn.execute(
                "SELECT state FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND application_name = 'request'"
            )
            return [state for (state,) in rows]

    settings = connections.settings["default"]
    options = {**settings["OPTIONS"], "application_name": "request"}
    with mock.patch.dict(settings, OPTIONS=options):
        yield states


async def gone(states: States, seconds: float = 20) -> None:
    """Wait until the server has noticed that every connection is closed."""
    await until(lambda: not states(), seconds)
