"""A child process that synchronous code of a block has forked."""

import asyncio
import os
import signal
import traceback
import warnings
from contextvars import Context
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.hashers import check_password, make_password
from django.db import connections

from django_async_fast import bridge, new_connection
from django_async_fast.connections.wrapper import BlockWrapper
from tests.testapp.models import Tag

PATIENCE = 20  # seconds that a child may take


def _child_succeeds(child: Any) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pytest has threads
        pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1] == 0
    status = 1
    signal.alarm(PATIENCE)
    try:
        # It would wait for a loop that shares the parent's epoll, and for its threads.
        assert not bridge.can_wait()
        assert not isinstance(connections["default"], BlockWrapper)
        child()
        status = 0
    except BaseException:
        traceback.print_exc()
    os._exit(status)


async def _asks() -> bool:
    return await Tag.objects.filter(name="child").aexists()


async def _asks_in_a_block() -> bool:
    async with new_connection():
        return await _asks()


def queries() -> None:
    """It asks, as a worker of `multiprocessing` does."""
    Tag.objects.filter(name="child").exists()
    list(Tag.objects.all()[:1])


def queries_in_a_context_of_its_own() -> None:
    Context().run(Tag.objects.filter(name="child").exists)


def hashes() -> None:
    assert check_password("secret", make_password("secret"))


def awaits() -> None:
    async_to_sync(_asks)()
    asyncio.run(_asks_in_a_block())


def closes() -> None:
    """It closes none of its parent's."""
    connections.close_all()
    queries()


CHILDREN = (queries, closes, queries_in_a_context_of_its_own, hashes, awaits)


@pytest.mark.parametrize("child", CHILDREN, ids=lambda each: each.__name__)
@pytest.mark.parametrize("where", ["bridged", "thread"])
def test_it_has_connections_of_its_own(child: Any, where: str) -> None:
    async def main() -> None:
        async with new_connection():
            await Tag.objects.filter(name="parent").aexists()
            # Its executor has a thread that is idle.
            await bridge.run(hashes)
            if where == "bridged":
                assert await bridge.run(_child_succeeds, child)
            else:
                assert await sync_to_async(_child_succeeds)(child)
            await Tag.objects.filter(name="parent").aexists()

    queries()  # with a connection of the thread's
    asyncio.run(main())
    queries()
