"""Random programs, and CPython's own tests of asyncio, driven: the same events."""

import asyncio
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_async_fast import bridge

from .driving import ROOT, VAR, driven

Program = list[Any]


def programs() -> st.SearchStrategy[Program]:
    simple = st.sampled_from(
        ["yield", "sleep", "call", "set", "raise", "future", "failing future", "task"]
    )

    def around(inner: st.SearchStrategy[Program]) -> st.SearchStrategy[Any]:
        kinds = ["await", "try", "timeout", "gather", "generator", "group", "shield"]
        return st.tuples(st.sampled_from(kinds), inner)

    return st.recursive(
        st.lists(simple, max_size=4),
        lambda inner: st.lists(st.one_of(simple, around(inner)), max_size=4),
        max_leaves=12,
    )


async def perform(program: Program, events: list[Any], name: str = "") -> None:
    """Do what `program` says, and note what happens when."""
    loop = asyncio.get_running_loop()
    for i, step in enumerate(program):
        here = f"{name}.{i}"
        events.append((here, VAR.get(), asyncio.current_task() is not None))
        match step:
            case "yield":
                await asyncio.sleep(0)
            case "sleep":
                await asyncio.sleep(0.001)
            case "call":
                await bridge.run(lambda: VAR.set(VAR.get() + 10))
            case "set":
                VAR.set(VAR.get() + 1)
            case "raise":
                raise KeyError(here)
            case "future":
                future = loop.create_future()
                loop.call_soon(future.set_result, here)
                events.append(await future)
            case "failing future":
                future = loop.create_future()
                loop.call_soon(future.set_exception, LookupError(here))
                await future
            case "task":
                await asyncio.create_task(perform(["set", "yield"], events, here))
            case ("await", inner):
                await perform(inner, events, here)
            case ("try", inner):
                try:
                    await perform(inner, events, here)
                except BaseException as exc:
                    events.append((here, repr(exc), _names(exc)))
                    if isinstance(exc, asyncio.CancelledError):
                        raise
                finally:
                    await asyncio.sleep(0)
            case ("timeout", inner):
                try:
                    async with asyncio.timeout(0.0005):
                        await perform(inner, events, here)
                        await asyncio.sleep(0.05)
                except TimeoutError:
                    events.append((here, "timeout"))
            case ("gather", inner):
                done = await asyncio.gather(
                    perform(inner, events, here + "a"),
                    perform(inner, events, here + "b"),
                    return_exceptions=True,
                )
                events.append([repr(each) for each in done])
            case ("generator", inner):

                async def parts(inner: Any = inner, here: str = here) -> Any:
                    try:
                        yield 1
                        await perform(inner, events, here)
                        yield 2
                    finally:
                        events.append((here, "closed"))

                async for part in parts():
                    events.append(part)
            case ("group", inner):
                try:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(perform(inner, events, here + "c"))
                        await perform(inner, events, here)
                except* Exception as several:
                    events.append((here, sorted(map(repr, several.exceptions))))
            case ("shield", inner):
                await asyncio.shield(perform(inner, events, here))


def _names(exc: BaseException) -> list[str]:
    frames = traceback.extract_tb(exc.__traceback__)
    return [f.name for f in frames if f.filename == __file__]


class Turns(asyncio.SelectorEventLoop):
    """Its clock goes by its turns, so that timeouts do not depend on the machine."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        self.now += 0.0001
        if not self._ready and self._scheduled:
            self.now = max(self.now, self._scheduled[0]._when)
        super()._run_once()


@settings(max_examples=150)
@given(programs())
def test_random_programs_have_the_same_events(program: Program) -> None:
    def events(way: Callable[[Any], Any]) -> list[Any]:
        found: list[Any] = []

        async def main() -> None:
            try:
                await way(perform(program, found))
            except Exception as exc:
                found.append(repr(exc))
            found.append(VAR.get())

        with asyncio.Runner(loop_factory=Turns) as runner:
            runner.run(main())
        return found

    async def plain(coroutine: Any) -> None:
        await coroutine

    assert events(driven) == events(plain)


# Those whose tests are coroutines: of the others no Runner runs any.
MODULES = (
    "test_context test_futures2 test_locks test_queues test_runners test_server "
    "test_staggered test_taskgroups test_threads test_timeouts test_waitfor"
)


@pytest.fixture(scope="module")
def modules() -> Iterator[list[str]]:
    if find_spec("test") is None or find_spec("test.test_asyncio") is None:
        pytest.skip("CPython is installed without its tests")
    yield [name for name in MODULES.split() if find_spec(f"test.test_asyncio.{name}")]


def test_asyncios_own_tests(modules: list[str]) -> None:
    def report(mode: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "tests.bridge.asyncio_driven", *modules],
            env={**os.environ, "MODE": mode},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return json.loads(done.stdout)

    driven = report("driven")
    assert driven["driven"] > 300
    if driven["failed"]:  # is it this machine, or we?
        plain = {name for name, _ in report("plain")["failed"]}
        assert not [each for each in driven["failed"] if each[0] not in plain]
