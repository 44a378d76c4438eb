"""Tasks that share a block, outlive it or race to connect, and pools too small for them."""

import asyncio
import contextlib
import time

import pytest
from django.db import InterfaceError, OperationalError, transaction
from django.db.transaction import TransactionManagementError

from django_async_fast import new_connection
from tests.support.backend_pids import abackend_pid
from tests.support.cancelling import cancelled, tag_in_atomic
from tests.support.configured import (
    POOL_SIZE,
    configured,
    pool_is_whole,
    pool_options,
    the_pool,
)
from tests.testapp.models import Tag, Unique

from .conftest import Watch, through_proxy
from .failing import PATIENCE, Cases

CASES = Cases()


@CASES.numbered(17)
async def gather_on_one_connection(watch: Watch) -> None:
    async def increment() -> None:
        async with transaction.atomic():
            one = await Unique.objects.aget(key="counter")
            await asyncio.sleep(0)
            one.value += 1
            await one.asave()

    async with new_connection():
        await Unique.objects.acreate(key="counter")
        await asyncio.gather(*(increment() for _ in range(10)))
        assert (await Unique.objects.aget()).value == 10


@CASES.numbered(18)
async def a_siblings_write_after_the_rollback(watch: Watch) -> None:
    async def fails() -> None:
        await asyncio.sleep(0.02)
        raise ValueError

    async def writes_late() -> None:
        await asyncio.sleep(0.1)
        await Tag.objects.acreate(name="late")

    async with new_connection():
        late = None
        with pytest.raises(ValueError):
            async with transaction.atomic():
                late = asyncio.ensure_future(writes_late())
                await asyncio.gather(fails(), late)
        assert late is not None
        with pytest.raises(TransactionManagementError, match="has ended"):
            await late
        assert await Tag.objects.acount() == 0


@CASES.numbered(19)
async def savepoints_of_siblings(watch: Watch) -> None:
    async def work(number: int) -> None:
        async with transaction.atomic():
            await Tag.objects.acreate(name=f"{number}a")
            await asyncio.sleep(0.001 * (number % 3))
            await Tag.objects.acreate(name=f"{number}b")
            if number % 2:
                raise ValueError

    async with new_connection():
        async with transaction.atomic():
            await asyncio.gather(*map(work, range(6)), return_exceptions=True)
        names = [tag.name async for tag in Tag.objects.order_by("name")]
        assert names == ["0a", "0b", "2a", "2b", "4a", "4b"]


@CASES.numbered(19)
async def cut_off_by_its_parent(watch: Watch) -> None:
    """The parent may not wait for a child's savepoint: the connection goes on."""
    inside = asyncio.Event()

    async def parent() -> None:
        async with transaction.atomic():
            children.append(asyncio.create_task(tag_in_atomic("gone", inside)))
            await inside.wait()

    children: list[asyncio.Task[None]] = []
    async with new_connection():
        assert await Tag.objects.acount() == 0  # to connect may take longer than that
        assert await cancelled(parent()) < 0.5
        assert await Tag.objects.acount() == 0
        assert await cancelled(children[0], after=0) < 0.5
        await Tag.objects.acreate(name="kept")
    assert watch.value("SELECT string_agg(name, ',') FROM testapp_tag") == "kept"


@CASES.numbered(20)
async def a_task_outlives_its_block(watch: Watch) -> None:
    async def late() -> None:
        await asyncio.sleep(0.05)
        await Tag.objects.acreate(name="late")

    async with new_connection():
        await Tag.objects.acount()
        task = asyncio.create_task(late())
    with pytest.raises(InterfaceError, match="has ended"):
        await task
    assert not watch.value("SELECT count(*) FROM testapp_tag")


@CASES.numbered(20)
async def a_task_connects_when_its_block_ends(watch: Watch) -> None:
    async with through_proxy(watch) as proxy:
        proxy.answers.delay = 0.1
        async with new_connection():
            task = asyncio.create_task(Tag.objects.acount())
            await asyncio.sleep(0.05)
        with contextlib.suppress(InterfaceError):
            await task
        await watch.gone()


@CASES.numbered(21)
async def opened_in_a_child_task(watch: Watch) -> None:
    async with new_connection():
        await asyncio.create_task(Tag.objects.acount())
        assert len(watch.sessions()) == 1
        await Tag.objects.acount()
        assert len(watch.sessions()) == 1
    await watch.gone()


@CASES.numbered(30)
async def two_tasks_connect_first(watch: Watch) -> None:
    for options in ({}, pool_options()):
        with configured(OPTIONS=options):
            async with new_connection() as conn:
                pids = await asyncio.gather(*(abackend_pid(conn) for _ in range(5)))
                assert len(set(pids)) == 1
            async with new_connection(force_rollback=True):
                await asyncio.gather(
                    *(Tag.objects.acreate(name=str(i)) for i in range(5))
                )
            assert not watch.value("SELECT count(*) FROM testapp_tag")
            await watch.idle()


@CASES.numbered(30)
async def the_first_of_two_is_cancelled_connecting(watch: Watch) -> None:
    async with through_proxy(watch) as proxy, new_connection():
        proxy.answers.delay = 0.05
        first = asyncio.ensure_future(Tag.objects.acount())
        await asyncio.sleep(0.01)
        second = asyncio.ensure_future(Tag.objects.acount())
        assert await cancelled(first, after=0.03) < 0.5
        assert await second == 0
        assert len(watch.sessions()) == 1


@CASES.numbered(24)
async def the_pool_is_exhausted(watch: Watch) -> None:
    order: list[int] = []

    async def use(number: int) -> None:
        async with new_connection():
            await Tag.objects.acount()
            order.append(number)

    with configured(OPTIONS=pool_options(min_size=1, max_size=1, timeout=0.5)):
        async with new_connection():
            await Tag.objects.acount()
            began = time.monotonic()
            with pytest.raises(OperationalError, match="all 1 of at most 1"):
                async with new_connection():
                    await Tag.objects.acount()
            assert 0.4 < time.monotonic() - began < PATIENCE
            the_pool().timeout = 60  # those that follow are served, however slowly
            waiting = []
            for number in range(4):
                waiting.append(asyncio.ensure_future(use(number)))
                await asyncio.sleep(0.01)
        await asyncio.gather(*waiting)
        assert order == [0, 1, 2, 3]
        await pool_is_whole()


@CASES.numbered(25)
async def nested_blocks_in_a_pool_too_small(watch: Watch) -> None:
    async def use() -> None:
        async with new_connection():
            await Tag.objects.acount()
            await each_has_one.wait()
            async with new_connection():
                await Tag.objects.acount()

    each_has_one = asyncio.Barrier(POOL_SIZE)
    with configured(OPTIONS=pool_options(timeout=0.5)):
        async with asyncio.timeout(PATIENCE):
            results = await asyncio.gather(
                *(use() for _ in range(POOL_SIZE)), return_exceptions=True
            )
        # The first to give up frees the slot that another one needs.
        failed = [result for result in results if result is not None]
        assert failed
        for each in failed:
            assert isinstance(each, OperationalError)
            assert "nested blocks need one each" in str(each)
        await pool_is_whole()


@pytest.mark.parametrize("name", CASES)
def test_failure(name: str, watch: Watch, pytestconfig: pytest.Config) -> None:
    CASES.run(name, watch, pytestconfig.option.loop)
