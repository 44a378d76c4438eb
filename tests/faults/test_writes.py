"""Cancelled, closed, cancelled again: at every await of writes that are known."""

from collections.abc import Awaitable, Callable
from typing import Any
from unittest import mock

import pytest

from django_async_fast import new_connection
from django_async_fast.querysets.compiled import writes
from tests.support.configured import configured
from tests.support.every_await import HOWS, MOST, broken_off, run
from tests.testapp.models import Author, Tag

from .conftest import Watch, connected
from .scenarios import TAGS, fill


async def write() -> None:
    """One row, whose name tells how far it has come."""
    async with new_connection():
        tag, _ = await Tag.objects.aget_or_create(name="created")
        tag.name = "saved"
        await tag.asave(update_fields=["name"])
        assert await Tag.objects.filter(name="saved").aupdate(name="updated") == 1
        author = await Author.objects.afirst()
        assert author is not None
        book = await author.books.acreate(title="t")
        await book.tags.aadd(tag)
        await book.tags.aremove(tag)
        await book.adelete()
        await tag.adelete()


WRITTEN = (
    f"SELECT concat_ws(' ', nullif(({TAGS}), ''), "
    "(SELECT title FROM testapp_book), "
    "(SELECT 'tagged' FROM testapp_book_tags))"
)
ALLOWED = ("", "created", "saved", "updated", "updated t", "updated t tagged", "")


async def at_every_await(
    watch: Watch, how: str, settled: Callable[[], Awaitable[None]]
) -> None:
    fill(watch)
    for _ in range(4):
        await write()
    with mock.patch.object(
        writes.WriteCall, "learn", side_effect=AssertionError("not known")
    ):
        for at in range(1, MOST):
            fill(watch)
            happened, steps = await broken_off(write, at, how)
            await watch.idle()
            left: Any = watch.value(WRITTEN)
            assert left in ALLOWED, f"at await {at}: {left}"
            await settled()
            if not happened:
                assert left == ""
                assert steps.count
                return
    raise AssertionError("the scenario has no end")


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("where", ["uvloop", "direct"])
def test_at_every_await(watch: Watch, how: str, where: str) -> None:
    loop, options, settled = connected(watch, where)
    with configured(OPTIONS=options):
        run(loop, at_every_await(watch, how, settled))
