"""Contexts that a bridged call enters itself, and loops that it runs."""

from __future__ import annotations

import asyncio
from contextvars import Context, ContextVar, copy_context
from functools import partial

from django.db import connection, transaction

from django_async_fast import new_connection, run_sync
from tests.testapp.models import Tag

variable: ContextVar[str] = ContextVar("variable", default="none")


def set_and_count(value: str) -> tuple[int, str]:
    variable.set(value)
    count = Tag.objects.count()
    return count, variable.get()


async def test_a_copied_context_keeps_its_variables_over_a_query() -> None:
    def function() -> tuple[object, str]:
        variable.set("outer")
        return copy_context().run(set_and_count, "inner"), variable.get()

    async with new_connection():
        assert await run_sync(function) == ((0, "inner"), "outer")
        assert await Tag.objects.acount() == 0


async def test_contexts_in_contexts() -> None:
    def inner() -> list[str]:
        seen = [set_and_count("b")[1]]
        seen.append(copy_context().run(set_and_count, "c")[1])
        return [*seen, variable.get()]

    def function() -> list[str]:
        variable.set("a")
        return [*copy_context().run(inner), variable.get()]

    async with new_connection():
        assert await run_sync(function) == ["b", "c", "b", "a"]


async def test_a_callback_with_a_context() -> None:
    context = copy_context()
    async with new_connection():
        inside = copy_context()
        assert await run_sync(partial(inside.run, set_and_count, "x")) == (0, "x")
        assert inside[variable] == "x"
        assert variable not in context


async def test_an_empty_context_is_in_the_block() -> None:
    def pid() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (found,) = cursor.fetchone()
        return int(found)

    def function() -> tuple[int, int]:
        with transaction.atomic():
            return pid(), Context().run(pid)

    async with new_connection():
        here, there = await run_sync(function)
    assert here == there


async def test_a_loop_that_a_bridged_call_runs_is_outside_of_the_block() -> None:
    async def inner() -> list[object]:
        assert not hasattr(connection, "gate")
        count = await Tag.objects.acount()
        loop = asyncio.get_running_loop()
        return [count, await loop.run_in_executor(None, lambda: 1)]

    def function() -> list[object]:
        Tag.objects.create(name="not committed yet")
        found = asyncio.run(inner())
        return [*found, Tag.objects.count()]

    async with new_connection(force_rollback=True):
        assert await run_sync(function) == [0, 1, 1]
