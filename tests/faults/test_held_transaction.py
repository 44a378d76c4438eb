"""The task that ends a stream's transaction, broken off at its every await."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Func, TextField, Value

from django_async_fast import bridge, new_connection
from django_async_fast.bridge import background_tasks
from django_async_fast.drivers.psycopg import held_transaction, plain_queries
from tests.support.configured import configured, pool_is_whole, pool_options
from tests.support.every_await import MOST, Closed, Steps, run
from tests.testapp.models import Author

from .conftest import Watch
from .scenarios import ROWS, fill

# What a plain query for authors reads.
AUTHORS = plain_queries.Reads(('"testapp_author"',), ("id", "name"))

TRANSACTIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'faults' AND state <> 'idle'
"""


# To store the rest of these rows takes the server so long that it can be broken off,
# once they are taken for a plain query's.
SLOWLY_FOUND = Author.objects.annotate(
    slept=Func(
        Value(0.01),
        template="pg_sleep(%(expressions)s)::text",
        output_field=TextField(),
    )
)


class Breaking:
    """Stands in for the bridge: what it runs is broken off at suspension `at`."""

    begin_task = staticmethod(bridge.begin_task)
    current_call = staticmethod(bridge.current_call)
    current_loop = staticmethod(bridge.current_loop)

    def __init__(self, at: int, how: str) -> None:
        self.at = at
        self.how = how
        self.steps: list[Steps] = []

    async def run(self, function: Callable[[], Any]) -> None:
        self.steps.append(Steps(bridge.run(function), self.at, self.how))
        try:
            await self.steps[-1]
        except Closed:
            pass


async def read_slowly(watch: Watch) -> None:
    """The reader is away for longer than the server is to wait for it."""
    async with new_connection():
        seen = 0
        async for _ in SLOWLY_FOUND.aiterator(chunk_size=4):
            seen += 1
            if seen == 1:
                assert watch.value(TRANSACTIONS) == 1
                await asyncio.sleep(10 * held_transaction.PATIENCE)
        assert seen == ROWS
        assert await Author.objects.acount() == ROWS


async def at_every_await(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    for at in range(1, MOST):
        breaking = Breaking(at, how)
        monkeypatch.setattr(held_transaction, "bridge", breaking)
        fill(watch)
        await read_slowly(watch)
        await watch.idle()
        await pool_is_whole()
        assert breaking.steps, "nobody was impatient"
        assert not background_tasks._under_way
        if not any(steps.happened for steps in breaking.steps):
            assert at > 1, "it never waits"
            return
    raise AssertionError("the task has no end")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("how", ["cancel", "twice", "always", "close"])
def test_at_every_await(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, how: str, loop: str
) -> None:
    monkeypatch.setattr(held_transaction, "PATIENCE", 0.01)
    monkeypatch.setattr(plain_queries, "reads", lambda *query: AUTHORS)
    with configured(OPTIONS=pool_options()):
        run(loop, at_every_await(watch, monkeypatch, how))
