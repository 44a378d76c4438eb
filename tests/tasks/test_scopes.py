"""The scope rule: tasks on one connection take turns by transaction."""

import asyncio
from contextlib import nullcontext
from typing import Any

import pytest
from django.db import transaction
from django.db.transaction import TransactionManagementError

from django_async_fast import new_connection
from django_async_fast.tasks.gate_errors import ScopeTimeout
from tests.testapp.models import Tag


async def _names() -> list[str]:
    return [tag.name async for tag in Tag.objects.order_by("name")]


async def _in_atomic(name: str, fail: bool = False) -> None:
    async with transaction.atomic():
        await Tag.objects.acreate(name=f"{name}1")
        await asyncio.sleep(0)
        await Tag.objects.acreate(name=f"{name}2")
        if fail:
            raise ValueError(name)


async def test_siblings_transactions_do_not_mix() -> None:
    async with new_connection():
        results = await asyncio.gather(
            _in_atomic("a"),
            _in_atomic("b", fail=True),
            _in_atomic("c"),
            return_exceptions=True,
        )
        assert [type(r) for r in results] == [type(None), ValueError, type(None)]
        assert await _names() == ["a1", "a2", "c1", "c2"]


@pytest.mark.parametrize("around", [nullcontext, transaction.atomic])
async def test_a_sibling_is_not_rolled_back_with_a_transaction(around: Any) -> None:
    """Outside of one of its own; what it gave on_commit() is called either way."""
    called = []

    async def rolled_back() -> None:
        async with transaction.atomic():
            await Tag.objects.acreate(name="gone")
            transaction.on_commit(lambda: called.append("gone"))
            inside.set()
            await asyncio.sleep(0.05)
            raise ValueError

    async def sibling() -> None:
        await inside.wait()
        transaction.on_commit(lambda: called.append("kept"))
        await Tag.objects.acreate(name="kept")

    async with new_connection():
        inside = asyncio.Event()
        async with around():
            both = rolled_back(), sibling()
            await asyncio.gather(*both, return_exceptions=True)
        assert await _names() == ["kept"]
    assert called == ["kept"]


async def test_an_error_marks_its_transaction() -> None:
    async with new_connection():
        async with transaction.atomic():
            with pytest.raises(ValueError):
                async with transaction.amark_for_rollback_on_error():
                    await _in_atomic("a", fail=True)
            assert await transaction.aget_rollback()
        assert await _names() == []


async def test_on_commit_while_a_sibling_begins_and_commits() -> None:
    called = []

    async def begin_and_commit() -> None:
        for name in "abc":
            async with transaction.atomic():
                await Tag.objects.acreate(name=name)

    async with new_connection():
        sibling, given = asyncio.create_task(begin_and_commit()), 0
        while not sibling.done():
            transaction.on_commit(lambda: called.append(None))
            given += 1
            await asyncio.sleep(0)
        await sibling
    assert len(called) == given


async def _save_a_text() -> None:
    await Tag(pk="text").asave()


async def _update_to_a_text() -> None:
    await Tag.objects.aupdate(id="text")


@pytest.mark.parametrize("write", [_save_a_text, _update_to_a_text])
async def test_a_siblings_error_is_not_a_transactions(write: Any) -> None:
    async def hold() -> None:
        async with transaction.atomic():
            await Tag.objects.acreate(name="a")
            inside.set()
            await done.wait()
            await Tag.objects.acreate(name="b")

    async def fail() -> None:
        await inside.wait()
        try:
            with pytest.raises(ValueError, match="text"):
                await write()
        finally:
            done.set()

    async with new_connection():
        inside, done = asyncio.Event(), asyncio.Event()
        await asyncio.gather(hold(), fail())
        assert await _names() == ["a", "b"]


async def test_children_belong_to_the_transaction_they_are_started_in() -> None:
    async with new_connection():
        with pytest.raises(ValueError):
            async with transaction.atomic():
                await asyncio.gather(*(_in_atomic(n) for n in "abc"))
                assert len(await _names()) == 6
                raise ValueError
        assert await _names() == []


async def test_a_child_that_outlives_its_transaction_is_refused() -> None:
    async with new_connection():
        left = asyncio.Event()

        async def late() -> None:
            await left.wait()
            await Tag.objects.acreate(name="late")

        async with transaction.atomic():
            task = asyncio.create_task(late())
            await asyncio.sleep(0)
        left.set()
        with pytest.raises(TransactionManagementError, match="has ended"):
            await task
        assert await _names() == []


async def test_leaving_waits_for_a_childs_statement_in_flight() -> None:
    async with new_connection() as conn:

        async def slow() -> None:
            async with conn.acursor() as cursor:
                await cursor.execute("SELECT pg_sleep(0.2)")
            await Tag.objects.acreate(name="late")

        async with transaction.atomic():
            await Tag.objects.acreate(name="kept")
            task = asyncio.create_task(slow())
            await asyncio.sleep(0.05)
        with pytest.raises(TransactionManagementError):
            await task
        assert await _names() == ["kept"]


async def test_leaving_waits_for_a_childs_savepoint() -> None:
    async with new_connection():
        async with transaction.atomic():
            task = asyncio.create_task(_in_atomic("child"))
            await asyncio.sleep(0)
        await task
        assert await _names() == ["child1", "child2"]


async def test_a_wait_is_bounded_and_names_both_places(settings_override) -> None:
    settings_override(DJANGO_ASYNC_FAST={"SCOPE_TIMEOUT": 0.1})
    async with new_connection():
        inside, done = asyncio.Event(), asyncio.Event()

        async def holder() -> None:
            async with transaction.atomic():
                inside.set()
                await done.wait()

        task = asyncio.create_task(holder())
        await inside.wait()
        with pytest.raises(ScopeTimeout) as caught:
            await Tag.objects.acount()
        assert str(caught.value).count("test_scopes.py:") == 2
        done.set()
        await task
        assert await Tag.objects.acount() == 0


async def test_cancelled_while_waiting_its_turn() -> None:
    async with new_connection():
        async with transaction.atomic():
            ours = asyncio.current_task()
            assert ours is not None

        async def holder() -> None:
            async with transaction.atomic():
                await asyncio.sleep(0.1)

        holding = asyncio.create_task(holder())
        await asyncio.sleep(0.02)
        waiting = asyncio.create_task(Tag.objects.acount())
        await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await holding
        assert await Tag.objects.acount() == 0


async def test_left_in_another_task_than_entered() -> None:
    async with new_connection():
        atomic = transaction.atomic()
        await asyncio.create_task(atomic.__aenter__())
        await asyncio.create_task(atomic.__aexit__(None, None, None))
        await Tag.objects.acreate(name="after")
        assert await _names() == ["after"]


async def test_durable_and_savepoint_arguments_are_djangos() -> None:
    async with new_connection():
        async with transaction.atomic(durable=True):
            with pytest.raises(RuntimeError, match="durable"):
                async with transaction.atomic(durable=True):
                    pass
            await Tag.objects.acreate(name="a")
            with pytest.raises(ValueError):
                async with transaction.atomic(savepoint=False):
                    raise ValueError
            assert await transaction.aget_rollback()
        assert await _names() == []


async def test_decorator() -> None:
    @transaction.atomic
    async def work(fail: bool) -> None:
        await Tag.objects.acreate(name=str(fail))
        if fail:
            raise ValueError

    async with new_connection():
        await asyncio.gather(
            *(work(fail) for fail in (True, False, True)), return_exceptions=True
        )
        assert await _names() == ["False"]


async def test_force_rollback() -> None:
    async with new_connection(force_rollback=True):
        async with transaction.atomic(durable=True):
            await Tag.objects.acreate(name="a")
        assert await _names() == ["a"]
    async with new_connection():
        assert await _names() == []
