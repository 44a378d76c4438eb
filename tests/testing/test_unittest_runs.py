"""What unittest says of these test cases: results, cleanups, Ctrl-C, debug()."""

# ruff: noqa: PT009 - as users of unittest write them

import asyncio
import io
import os
import signal
import sys
import unittest
from typing import Any

import pytest
from django.db import connection

from django_async_fast import async_connections
from django_async_fast.test import TestCase
from tests.testapp.models import Tag


def run(*methods: Any, bases: Any = (TestCase,), **attributes: Any) -> Any:
    body = {method.__name__: method for method in methods}
    case = type("Inner", bases, {**body, **attributes})
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(case)
    result = unittest.TextTestRunner(stream=io.StringIO()).run(suite)
    assert case._class_loop is None
    return result


def test_results() -> None:
    async def test_passes(self: Any) -> None:
        assert await Tag.objects.acount() == 0

    async def test_fails(self: Any) -> None:
        self.assertEqual(await Tag.objects.acount(), 1)

    async def test_breaks(self: Any) -> None:
        await Tag.objects.aget()

    async def test_skips(self: Any) -> None:
        self.skipTest("reason")

    @unittest.skip("reason")
    async def test_is_skipped(self: Any) -> None:
        raise AssertionError

    result = run(test_passes, test_fails, test_breaks, test_skips, test_is_skipped)
    # Python 3.12.1 alone does not count what is skipped beforehand.
    assert result.testsRun == (4 if sys.version_info[:3] == (3, 12, 1) else 5)
    assert [len(result.failures), len(result.errors), len(result.skipped)] == [1, 1, 2]
    assert "0 != 1" in result.failures[0][1]
    assert "DoesNotExist" in result.errors[0][1]


def test_a_failing_set_up_of_the_class() -> None:
    def setUpTestData(cls: Any) -> None:
        Tag.objects.create(name="a")
        raise ValueError("in setUpTestData")

    async def test_never_runs(self: Any) -> None:
        raise AssertionError

    result = run(test_never_runs, setUpTestData=classmethod(setUpTestData))
    assert result.testsRun == 0
    assert "in setUpTestData" in result.errors[0][1]
    assert Tag.objects.count() == 0
    connection.close()


def test_class_cleanups_run_in_the_block() -> None:
    counts: list[int] = []

    async def test_passes(self: Any) -> None:
        await Tag.objects.acreate(name="a")
        self.addClassCleanup(lambda: counts.append(Tag.objects.count()))
        self.addCleanup(lambda: counts.append(Tag.objects.count()))

    assert run(test_passes).wasSuccessful()
    assert counts == [1, 0]


def test_debug_raises() -> None:
    async def test_fails(self: Any) -> None:
        raise ValueError("raised")

    case = type("Inner", (TestCase,), {"test_fails": test_fails})
    with pytest.raises(ValueError, match="raised"):
        unittest.defaultTestLoader.loadTestsFromTestCase(case).debug()
    case.tearDownClass()
    case.doClassCleanups()


@pytest.mark.parametrize("where", ["loop", "query"])
def test_ctrl_c_ends_the_run(where: str) -> None:
    async def test_interrupted(self: Any) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(0.1, os.kill, os.getpid(), signal.SIGINT)
        if where == "loop":
            await asyncio.sleep(10)
        else:
            async with async_connections["default"].acursor() as cursor:
                await cursor.execute("SELECT pg_sleep(10)")

    case = type("Inner", (TestCase,), {"test_interrupted": test_interrupted})
    case.setUpClass()
    try:
        with pytest.raises(KeyboardInterrupt):
            case("test_interrupted")(unittest.TestResult())
    finally:
        case.tearDownClass()
        case.doClassCleanups()


def test_loop_factory() -> None:
    class Loop(asyncio.SelectorEventLoop):
        pass

    async def test_loop(self: Any) -> None:
        assert type(asyncio.get_running_loop()) is Loop
        assert await Tag.objects.acount() == 0

    result = run(test_loop, loop_factory=staticmethod(Loop))
    assert result.wasSuccessful(), result.errors
