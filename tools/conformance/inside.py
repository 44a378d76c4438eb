"""Run Django's runtests.py, in its folder, in one of the modes.

`stock` is Django alone; `sync` has the package installed and no block; `bridge` runs
the whole suite in one greenlet in one event loop in a block: every query is awaited.
`concurrent` does that with several classes at once, each in a block of its own, and
`request` sends what test clients ask for through the package's application.
"""

import asyncio
import os
import runpy
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.conformance.recording import RecordingRunner, counts, running, worker


def main(mode: str, arguments: list[str]) -> None:
    sys.argv = ["runtests.py", *arguments]
    sys.path.insert(0, str(Path.cwd()))
    if mode == "stock":
        _run_tests()
        return
    install_after_setup(mode)
    if mode == "sync":
        _run_tests()
        return
    if mode == "concurrent":
        _several_at_once()
    # Blocks of requests join the suite's: they see what a test has done.
    asyncio.run(_in_a_block(shared=mode == "request"))


def _several_at_once() -> None:
    from tools.conformance import concurrent, sections

    sections.install()
    RecordingRunner.parallel_test_suite = concurrent.ConcurrentSuite


def _run_tests() -> None:
    runpy.run_path("runtests.py", run_name="__main__")


async def _in_a_block(shared: bool) -> None:
    from django_async_fast import bridge
    from django_async_fast.connections import blocks

    keep_sync_code_on(asyncio.get_running_loop(), _uses_database)
    block = blocks.Block(force_rollback=False, where=None, shared=shared)
    blocks.entered_block.set(block)
    try:
        await bridge.run(_run_tests)
        await bridge.run(block.close)
    except SystemExit as end:
        # Tests leave tasks behind; the suite's result is what counts.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(end.code or 0))


def _uses_database() -> bool:
    from django.test import TransactionTestCase

    return isinstance(running.get(), TransactionTestCase)


def keep_sync_code_on(
    loop: asyncio.AbstractEventLoop, applies: Callable[[], bool]
) -> None:
    """Run thread-sensitive code where asgiref would: with the suite itself.

    The suite calls `async_to_sync`, and what that hands back to `sync_to_async` runs
    in the suite's own thread and transaction. Here the suite runs on the bridge. A
    test that may not use the database keeps its threads: it is about them.
    """
    from asgiref.sync import SyncToAsync

    from django_async_fast import bridge

    threaded = SyncToAsync.__call__

    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        ours = self._thread_sensitive and asyncio.get_running_loop() is loop
        if ours and applies():
            return await bridge.run(self.func, *args, **kwargs)
        return await threaded(self, *args, **kwargs)

    SyncToAsync.__call__ = call  # type: ignore[method-assign]


def install_after_setup(mode: str) -> None:
    """Install where INSTALLED_APPS would: runtests.py sets that itself."""
    import django

    setup = django.setup

    def setup_and_install(*args: Any, **kwargs: Any) -> None:
        setup(*args, **kwargs)
        from django_async_fast import install

        install()
        _count()
        if mode == "request":
            from tools.conformance import requesting

            requesting.install()

    django.setup = setup_and_install


def _count() -> None:
    from django_async_fast import _native, bridge
    from django_async_fast.querysets import streams

    if counts["installed"]:
        return
    counts["installed"] = 1
    bridge.await_ = _counting(_noticing_others(bridge.await_), "waits awaited")
    threading.Thread.start = _counting(  # type: ignore[method-assign]
        threading.Thread.start, "threads started"
    )
    if not _native.COMPILED:
        return
    # Beside those that were only filled in.
    streams.Stream._compiled = _counting(  # type: ignore[method-assign]
        streams.Stream._compiled, "querysets compiled by Django"
    )
    call = streams.Stream.__call__

    def counted(self: Any) -> Any:
        batch = call(self)
        if batch is not None:
            reason = getattr(self, "reason", "")
            kind = f"rows left to Django: {reason}" if reason else "rows built"
            counts[kind] += len(batch)
        return batch

    streams.Stream.__call__ = counted  # type: ignore[method-assign]


def _noticing_others(await_: Callable[..., Any]) -> Callable[..., Any]:
    """Count the waits in which another worker's test went on."""
    ran = [0]

    def inner(awaitable: Any) -> Any:
        ran[0] = worker.get()
        try:
            return await_(awaitable)
        finally:
            if ran[0] != worker.get():
                counts["waits in which other classes ran"] += 1

    return inner


def _counting(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    def inner(*args: Any, **kwargs: Any) -> Any:
        counts[name] += 1
        return function(*args, **kwargs)

    return inner


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
