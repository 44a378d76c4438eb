"""Contexts that a bridged call enters itself, and loops that it runs."""

import asyncio
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from functools import partial

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection, transaction

from django_async_fast import new_connection, run_sync
from tests.support.backend_pids import backend_pid
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
    def function() -> tuple[int, int]:
        with transaction.atomic():
            return backend_pid(), Context().run(backend_pid)

    async with new_connection():
        here, there = await run_sync(function)
    assert here == there


def count_in_atomic() -> int:
    with transaction.atomic():
        Tag.objects.create(name=str(Tag.objects.count()))
        # Sees neither the block nor the atomic block.
        return Context().run(Tag.objects.count)


async def test_a_context_of_before_is_in_what_has_been_entered_since() -> None:
    """It was copied before the block, before the atomic block, or sees nothing."""
    contexts = [copy_context(), Context()]

    async with new_connection():
        contexts.append(copy_context())
        async with transaction.atomic():
            contexts.append(copy_context())
            with pytest.raises(ValueError):  # a savepoint
                async with transaction.atomic():
                    await run_sync(count_in_atomic)
                    raise ValueError
            async with asyncio.timeout(10):
                for number, context in enumerate(contexts, 1):
                    assert await run_sync(context.run, count_in_atomic) == number
    assert await sync_to_async(Tag.objects.count)() == len(contexts)


async def test_a_context_of_a_block_that_has_ended_is_in_this_one() -> None:
    async with new_connection():
        context = copy_context()
    async with new_connection(force_rollback=True):
        await Tag.objects.acreate(name="a")
        assert await run_sync(context.run, Tag.objects.count) == 1


@pytest.mark.parametrize("lazy", ["await", "refuse"])
async def test_what_is_awaited_in_a_context_is_in_it(
    lazy: str, settings_override: Callable[..., None]
) -> None:
    settings_override(DJANGO_ASYNC_FAST={"LAZY": lazy})

    async def coroutine() -> tuple[str, int]:
        seen = variable.get(), await Tag.objects.acount()
        variable.set("set by what is awaited")
        return seen

    def inner() -> tuple[tuple[str, int], str]:
        variable.set("inner")
        Tag.objects.count()
        return async_to_sync(coroutine)(), variable.get()

    def function(context: Context) -> tuple[object, str]:
        Tag.objects.create(name="a")
        return context.run(inner), variable.get()

    for make in (copy_context, Context):
        async with new_connection(force_rollback=True), asyncio.timeout(10):
            found = await run_sync(function, make())
        assert found == ((("inner", 1), "set by what is awaited"), "none")


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
