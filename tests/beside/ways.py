"""The ways in which a program runs: two of stock Django's, three of ours."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, NamedTuple

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.db import connections, transaction

from tests.support.describe import described
from tests.support.programs import Program, acall, call, drive


class Synchronously:
    """A program's `do` that calls Django's synchronous methods."""

    def __init__(self) -> None:
        self.results: list[str] = []

    async def __call__(
        self, target: Any, name: str = "", /, *args: Any, **named: Any
    ) -> Any:
        try:
            result = await self.done(target, name, args, named)
        except Exception as exc:
            self.results.append(f"{type(exc).__name__}: {exc}")
            return None
        self.results.append(repr(described(result)))
        return result

    async def done(self, target: Any, name: str, args: Any, named: Any) -> Any:
        return call(target, name, args, named)

    def atomic(self) -> AbstractAsyncContextManager[None]:
        return self.within(transaction.atomic)

    @asynccontextmanager
    async def within(
        self, make: Callable[..., Any], *args: Any, **named: Any
    ) -> AsyncIterator[None]:
        """`with make(...):`, where the statements are executed."""
        with make(*args, **named):
            yield


class InThreads(Synchronously):
    """Django's async methods without the package: each is a call in a thread."""

    async def done(self, target: Any, name: str, args: Any, named: Any) -> Any:
        return await acall(in_a_thread, target, name, args, named)

    @asynccontextmanager
    async def within(
        self, make: Callable[..., Any], *args: Any, **named: Any
    ) -> AsyncIterator[None]:
        context = await in_a_thread(partial(make, *args, **named))
        await in_a_thread(context.__enter__)
        try:
            yield
        except BaseException as exc:
            await in_a_thread(context.__exit__, type(exc), exc, exc.__traceback__)
            raise
        await in_a_thread(context.__exit__, None, None, None)


class OnTheLoop(Synchronously):
    """The async methods in a block."""

    async def done(self, target: Any, name: str, args: Any, named: Any) -> Any:
        from django_async_fast import run_sync

        return await acall(run_sync, target, name, args, named)

    @asynccontextmanager
    async def within(
        self, make: Callable[..., Any], *args: Any, **named: Any
    ) -> AsyncIterator[None]:
        context = make(*args, **named)
        if hasattr(context, "__aenter__"):
            async with context:
                yield
        else:
            with context:
                yield


async def in_a_thread(function: Callable[..., Any], *args: Any) -> Any:
    return await sync_to_async(function)(*args)


def synchronously(program: Program) -> list[str]:
    do = Synchronously()
    drive(program(do))
    return do.results


async def in_threads(program: Program) -> list[str]:
    do = InThreads()
    await program(do)
    return do.results


async def on_the_bridge(program: Program) -> list[str]:
    from django_async_fast import run_sync

    return await run_sync(synchronously, program)


async def on_the_loop(program: Program) -> list[str]:
    do = OnTheLoop()
    await program(do)
    return do.results


class Way(NamedTuple):
    """How a program is run, and whether the package is installed."""

    run: Callable[[Program], Any]
    installed: bool = True
    # The way of stock's whose sights are the ones to be expected.
    like: str = ""
    # Whether a request is the package's own application's, else Django's handler's.
    application: bool = False

    @property
    def asynchronous(self) -> bool:
        return iscoroutinefunction(self.run)


STOCK = {
    "stock": Way(synchronously, installed=False),
    "stock, async": Way(in_threads, installed=False),
}
OURS = {
    "installed": Way(synchronously, like="stock"),
    "run_sync": Way(on_the_bridge, like="stock"),
    "block": Way(on_the_loop, like="stock, async"),
}
OURS_IN_REQUESTS = OURS | {
    "application": Way(on_the_loop, like="stock, async", application=True),
    "application, sync view": Way(synchronously, like="stock", application=True),
}
WAYS = STOCK | OURS_IN_REQUESTS


def run(way: Way, program: Program) -> list[str]:
    """Run the program outside of a request; no connection stays open."""
    if not way.asynchronous:
        results = way.run(program)
        connections.close_all()
        return results
    return asyncio.run(_in_a_block(way, program))


async def _in_a_block(way: Way, program: Program) -> list[str]:
    if not way.installed:
        results = await way.run(program)
        await in_a_thread(connections.close_all)
        return results
    from django_async_fast import new_connection

    async with new_connection():
        return await way.run(program)
