"""Reads of several tasks over one connection, for the tests of their pipelines."""

import asyncio
from typing import Any

from django_async_fast import new_connection
from tests.testapp.models import Author

TASKS = 8


async def fill(count: int = TASKS) -> None:
    """Make authors, and have the statements that read them known."""
    async with new_connection():
        await Author.objects.abulk_create(Author(name=str(i)) for i in range(count))
        for _ in range(3):
            await read(0)


async def read(number: int) -> str:
    return (await Author.objects.aget(name=str(number))).name


async def read_all(count: int = TASKS) -> list[str]:
    return await asyncio.gather(*map(read, range(count)))


async def ends(tasks: list[Any]) -> list[Any]:
    return await asyncio.gather(*tasks, return_exceptions=True)
