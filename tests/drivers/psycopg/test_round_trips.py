"""What one query in a block asks of the event loop."""

import asyncio
import sys
from typing import Any
from unittest import mock

import pytest

from django_async_fast import new_connection, run_sync
from tests.testapp.models import Tag

TIMES = 20


async def turns(query: Any) -> int:
    """Return how many turns the loop takes for the queries."""
    loop: Any = asyncio.get_running_loop()
    selector = getattr(loop, "_selector", None)
    if selector is None:
        pytest.skip("the loop is not asyncio's")
    with mock.patch.object(selector, "select", wraps=selector.select) as select:
        await query()
    return int(select.call_count)


async def test_a_query_takes_one_turn_of_the_loop() -> None:
    async def counts() -> None:
        for _ in range(TIMES):
            await Tag.objects.acount()

    async with new_connection():
        await counts()
        # Not two: one in which the answer comes, one in which the task goes on.
        assert await turns(counts) < 1.5 * TIMES


async def test_so_do_those_of_one_function() -> None:
    def counts() -> None:
        for _ in range(TIMES):
            Tag.objects.count()

    async with new_connection():
        await run_sync(counts)
        assert await turns(lambda: run_sync(counts)) < 1.5 * TIMES


async def test_nothing_is_handled_where_a_task_goes_on() -> None:
    async with new_connection():
        for _ in range(3):
            await Tag.objects.acount()
            assert sys.exc_info() == (None, None, None)
            try:
                raise LookupError
            except LookupError as error:
                assert error.__context__ is None
