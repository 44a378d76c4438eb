"""Loops that end with a stream, a connection or a pool open, and Ctrl-C."""

import asyncio
import contextlib
import os
import signal
import threading
import time

import pytest
from django.db import connections, transaction

from django_async_fast import new_connection, run_sync
from tests.support.backend_pids import abackend_pid
from tests.support.configured import (
    POOL_SIZE,
    configured,
    pool_is_whole,
    pool_options,
    the_pool,
)
from tests.support.every_await import listening
from tests.testapp.models import Author, Tag

from .conftest import Watch
from .failing import PATIENCE, fill_authors, sleep_on_the_server


async def _use(watch: Watch) -> None:
    async with new_connection():
        await Tag.objects.acount()


def test_f11_a_stream_is_left_to_the_end_of_the_loop(watch: Watch) -> None:
    kept = []

    async def main() -> None:
        await fill_authors(20)
        block = new_connection()
        await block.__aenter__()
        rows = Author.objects.aiterator(chunk_size=3)
        await anext(rows)
        kept.append(rows)
        await block.__aexit__(None, None, None)

    with configured(OPTIONS=pool_options()), listening() as noise:
        asyncio.run(main())
        asyncio.run(watch.gone())
        kept.clear()
        noise.check()


def test_f14_the_loop_is_closed_with_connections_open(watch: Watch) -> None:
    async def main() -> None:
        block = new_connection()
        await block.__aenter__()
        await Tag.objects.acount()

    with configured(), listening() as noise:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        loop.close()
        del loop
        with contextlib.suppress(AssertionError):
            noise.check()
        assert all("ResourceWarning" in heard for heard in noise.heard), noise.heard
        assert noise.heard
        asyncio.run(watch.gone())


def test_f14_a_pools_sockets_end_with_the_loop(watch: Watch) -> None:
    from django_async_fast.pool import loop_pool

    with configured(OPTIONS=pool_options()), listening() as noise:
        asyncio.run(_use(watch))
        assert not loop_pool._pools
        asyncio.run(watch.gone())
        noise.check()


def test_f15_a_pool_for_each_loop(watch: Watch) -> None:
    seen: dict[int, set[int]] = {}
    barrier = threading.Barrier(2, timeout=10)

    async def main() -> None:
        await _use(watch)
        await pool_is_whole()
        mine = seen[threading.get_ident()] = set()
        for _ in range(5):
            async with new_connection() as conn:
                mine.add(await abackend_pid(conn))
        assert the_pool().get_stats()["pool_size"] == POOL_SIZE
        barrier.wait()  # both loops are alive until here

    with configured(OPTIONS=pool_options()):
        threads = [threading.Thread(target=asyncio.run, args=[main()]) for _ in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    first, second = seen.values()
    assert not first & second


def test_f28_an_interrupt_while_synchronous_code_runs(watch: Watch) -> None:
    def interrupted() -> None:
        with transaction.atomic():
            Tag.objects.create(name="gone")
            raise KeyboardInterrupt

    async def main() -> None:
        async with new_connection():
            await run_sync(interrupted)

    with configured(OPTIONS=pool_options()), listening() as noise:
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(main())
        asyncio.run(watch.gone())
        noise.check()
    assert not watch.value("SELECT count(*) FROM testapp_tag")


def test_f28_ctrl_c_while_the_server_works(watch: Watch) -> None:
    async def main() -> None:
        async with new_connection() as conn:
            await sleep_on_the_server(conn, 30)

    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    with configured(), listening() as noise:
        timer.start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(main())
        assert time.monotonic() - began < PATIENCE
        asyncio.run(watch.gone())
        noise.check()


def test_the_settings_are_as_before() -> None:
    assert "application_name" not in connections.settings["default"]["OPTIONS"]
