"""F16: a process forks with a statement in flight, as servers that preload do."""

import asyncio
import gc
import os
import signal
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from django_async_fast import _native, bridge, new_connection
from django_async_fast.drivers.psycopg import server_names
from django_async_fast.pool import loop_pool
from tests.support.configured import configured, pool_is_whole, pool_options
from tests.support.until import until
from tests.testapp.models import Tag

from .conftest import Watch

PATIENCE = 20  # seconds that a child may take

Child = Callable[[], Any]


def _fork(child: Child) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pytest has threads
        pid = os.fork()
    if pid:
        return pid
    status = 1
    signal.alarm(PATIENCE)
    try:
        child()
        status = 0
    except BaseException:
        traceback.print_exc()
    os._exit(status)


async def _exit_status(pid: int) -> int:
    _, status = await asyncio.to_thread(os.waitpid, pid, 0)
    return os.waitstatus_to_exitcode(status)


# ----- what a child does


def works_on_its_own() -> None:
    """It opens connections of its own, with the same settings."""

    async def main() -> None:
        async with new_connection():
            await Tag.objects.acreate(name="child")

    asyncio.run(main())


def collects_what_it_has_inherited() -> None:
    """Task, block, pool and loop are garbage: their ends touch no socket."""
    for task in asyncio.all_tasks(_loops[0]):
        if not task.get_coro().cr_running:
            task.get_coro().close()
    loop_pool._pools.clear()
    _loops.clear()
    _blocks.clear()
    _connections.clear()
    gc.collect()
    works_on_its_own()


def ends_the_block() -> None:
    closing = _blocks[0].__aexit__(SystemExit, SystemExit(), None)
    with pytest.raises(StopIteration):
        closing.send(None)


def uses_the_parents_connection() -> None:
    async def main() -> None:
        async with _connections[0].acursor() as cursor:
            with pytest.raises(OperationalError, match="forked"):
                await cursor.execute("SELECT 1")

    asyncio.run(main())


CHILDREN = (
    works_on_its_own,
    collects_what_it_has_inherited,
    ends_the_block,
    uses_the_parents_connection,
)

# The parent's, for its child.
_loops: list[asyncio.AbstractEventLoop] = []
_blocks: list[new_connection] = []
_connections: list[Any] = []


async def forks(child: Child, watch: Watch) -> None:
    """Fork with one connection at work, and another at rest."""
    _loops[:] = [asyncio.get_running_loop()]
    _blocks[:] = [new_connection()]
    async with _blocks[0] as at_work, new_connection() as at_rest:
        _connections[:] = [at_rest]
        sessions = [await session(at_work), await session(at_rest)]
        statement = asyncio.ensure_future(session(at_work, "FROM pg_sleep(1)"))
        await until(lambda: any("pg_sleep" in query for *_, query in watch.working()))
        pid = _fork(child)
        assert await statement == sessions[0]
        assert await _exit_status(pid) == 0
        assert [await session(at_work), await session(at_rest)] == sessions


async def session(conn: Any, source: str = "") -> int:
    async with conn.acursor() as cursor:
        await cursor.execute(f"SELECT pg_backend_pid() {source}")
        return int((await cursor.fetchone())[0])


@pytest.mark.parametrize("pooled", [False, True], ids=["direct", "pooled"])
@pytest.mark.parametrize("child", CHILDREN, ids=lambda each: each.__name__)
def test_f16_fork(child: Child, pooled: bool, watch: Watch) -> None:
    async def main() -> None:
        async with asyncio.timeout(PATIENCE):
            await forks(child, watch)
        await watch.idle()
        await (pool_is_whole() if pooled else watch.gone())

    with configured(OPTIONS=pool_options() if pooled else {}):
        asyncio.run(main())


@pytest.mark.core
@pytest.mark.usefixtures("untimed")
def test_reads_that_wait_in_the_parent_are_none_of_the_childs() -> None:
    """Its own are sent before they have a greenlet."""

    async def steps() -> int:
        async with new_connection():
            for _ in range(4):
                await Tag.objects.filter(name="a").aexists()
            bridge.BRIDGE.count_steps()
            before: int = bridge.BRIDGE.steps
            await Tag.objects.filter(name="a").aexists()
            return bridge.BRIDGE.steps - before

    def child() -> None:
        assert asyncio.run(steps()) == 1
        waiting.clear()
        assert asyncio.run(steps()) == 1

    waiting: list[Any] = [_native.rows.WaitingRead()]
    asyncio.run(steps())  # from here on the statement is known
    assert asyncio.run(steps()) > 1
    assert os.waitpid(_fork(child), 0)[1] == 0


def test_a_child_gives_other_names() -> None:
    reads, writes = os.pipe()
    parents = [server_names.cursor() for _ in range(3)]
    pid = _fork(lambda: os.write(writes, server_names.cursor().encode()))
    assert os.waitpid(pid, 0)[1] == 0
    childs = os.read(reads, 100).decode()
    for end in (reads, writes):
        os.close(end)
    assert len({*parents, childs, server_names.cursor()}) == 5
    # The server cuts off what is longer, without a word.
    assert max(map(len, (*parents, childs))) < 64
    prefix = childs.rpartition("_")[0]
    assert not any(name.startswith(prefix) for name in parents)
