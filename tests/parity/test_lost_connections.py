"""Atomic blocks whose connection is lost end as Django's do, where it rolls back."""

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest
from django.db import Error, connection, transaction

from django_async_fast import new_connection, run_sync
from tests.testapp.models import Tag


def lose_it() -> None:
    # Not by a cursor: Django refuses those while a rollback is due.
    with suppress(psycopg.Error):
        connection.connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")


@contextmanager
def told(steps: list[str], name: str) -> Iterator[None]:
    """Note how an atomic block ends."""
    try:
        with transaction.atomic():
            yield
    except Error:
        steps.append(f"{name} raises")
    else:
        steps.append(f"{name} is silent")


def the_outer_one_asked(steps: list[str]) -> None:
    with told(steps, "outer"):
        transaction.set_rollback(True)
        lose_it()
        with told(steps, "inner"):
            pass


def the_outer_one_asked_around_an_open_one(steps: list[str]) -> None:
    with told(steps, "outer"), told(steps, "inner"):
        Tag.objects.create(name="gone")
        transaction.set_rollback(True)
        lose_it()


def the_outer_one_asked_and_an_error_leaves_the_inner(steps: list[str]) -> None:
    with told(steps, "outer"):
        transaction.set_rollback(True)
        lose_it()
        with suppress(ZeroDivisionError), told(steps, "inner"):
            raise ZeroDivisionError


def asked_after_the_loss(steps: list[str]) -> None:
    with told(steps, "outer"):
        Tag.objects.create(name="gone")
        lose_it()
        transaction.set_rollback(True)
        with told(steps, "inner"):
            pass


def a_save_failed(steps: list[str]) -> None:
    with told(steps, "outer"):
        lose_it()
        with suppress(Error):
            Tag.objects.create(name="gone")
        with told(steps, "inner"):
            pass


def nobody_asked(steps: list[str]) -> None:
    with told(steps, "outer"):
        Tag.objects.create(name="gone")
        lose_it()


PROGRAMS = [
    the_outer_one_asked,
    the_outer_one_asked_around_an_open_one,
    the_outer_one_asked_and_an_error_leaves_the_inner,
    asked_after_the_loss,
    a_save_failed,
    nobody_asked,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda each: each.__name__)
def test_it_is_told_or_silent_as_in_stock(program: Callable[[list[str]], None]) -> None:
    expected: list[str] = []
    program(expected)
    connection.close()

    async def in_a_block() -> list[str]:
        steps: list[str] = []
        async with new_connection():
            await run_sync(program, steps)
            # The next statement has a connection again.
            assert await Tag.objects.acount() == 0
        return steps

    assert asyncio.run(in_a_block()) == expected


async def test_with_async_with() -> None:
    async with new_connection(), transaction.atomic():
        await transaction.aset_rollback(True)
        await run_sync(lose_it)
        async with transaction.atomic():
            pass


async def test_what_an_inner_one_asked_for_is_not_the_outer_ones() -> None:
    asked: list[bool] = []

    async def inner() -> None:
        async with transaction.atomic():
            await transaction.aset_rollback(True)
            asked.append(True)
            await asyncio.sleep(0)

    @types.coroutine
    def destroyed(coroutine: Coroutine[Any, Any, None]) -> Generator[Any, Any, None]:
        while not asked:
            wanted = coroutine.send(None)
            if not asked:
                yield wanted
        # Nothing can be awaited there: the connection is dropped.
        coroutine.close()

    async with new_connection():
        with pytest.raises(transaction.TransactionManagementError, match="broken off"):
            async with transaction.atomic():
                await Tag.objects.acreate(name="gone")
                await destroyed(inner())
