"""Django's test classes, several at once on one event loop, each in its own block.

Django runs classes in parallel in processes, each with a clone of the test database.
Here the workers are tasks: what leaks from one context, connection, transaction or
scope into another's lands in the wrong database, and the tests that miss it fail.
"""

import asyncio
import contextvars
import unittest
from collections import deque
from typing import Any

from django.db import connections
from django.db.utils import ConnectionHandler

from django_async_fast import bridge
from django_async_fast.connections.blocks import Block, entered_block
from tools.conformance import sections, turns
from tools.conformance.recording import worker
from tools.conformance.turns import turn


class ConcurrentSuite(unittest.TestSuite):
    """Stands in for Django's ParallelTestSuite."""

    def __init__(self, subsuites: Any, processes: int, *options: Any) -> None:
        super().__init__()
        self.subsuites = subsuites
        self.workers = processes

    def __iter__(self) -> Any:
        return iter(self.subsuites)

    def run(self, result: Any, debug: bool = False) -> Any:
        # Tests of test databases write the names of theirs into the settings.
        before = {
            alias: dict(connections[alias].settings_dict) for alias in connections
        }
        _databases_by_worker(self.workers)
        _caches_by_worker()
        bridge.await_(self._run_all(result))
        for alias, settings in before.items():
            connections[alias].settings_dict.update(settings)
        return result

    async def _run_all(self, result: Any) -> None:
        # Classes of one world in a row, the worlds in Django's order.
        order = list(dict.fromkeys(map(turns.world, self.subsuites)))
        queue = deque(sorted(self.subsuites, key=lambda s: order.index(turns.world(s))))
        worlds = turns.Worlds()
        loop = asyncio.get_running_loop()
        turns.pace(loop)
        tasks = []
        for number in range(1, self.workers + 1):
            context = contextvars.copy_context()
            context.run(worker.set, number)
            work = _work(queue, worlds, result)
            tasks.append(loop.create_task(work, context=context))
        await asyncio.gather(*tasks)


async def _work(queue: deque[Any], worlds: turns.Worlds, result: Any) -> None:
    block = Block(force_rollback=False, where=None)
    entered_block.set(block)
    while queue:
        suite = queue.popleft()
        own = type(result)(result.stream, result.descriptions, 1)
        case = type(next(iter(suite)))
        _count_for_itself(case)
        async with worlds.of(suite):
            sections.begin_class(case)
            await bridge.run(suite.run, own)
            turn.class_ended()
        for kind in ("failures", "errors", "skipped", "expectedFailures"):
            getattr(result, kind).extend(getattr(own, kind))
        result.unexpectedSuccesses.extend(own.unexpectedSuccesses)
        result.testsRun += own.testsRun
    await bridge.run(block.close)


def _count_for_itself(case: Any) -> None:
    """Have a test class count in itself what it has opened, not from its base's count.

    A subclass of another test class inherits the number, and both may run at once.
    """
    if hasattr(case, "_available_apps_calls_balanced"):
        case._available_apps_calls_balanced = 0


class _Settings(dict[str, Any]):
    """DATABASES, with the names of the worker's own databases."""

    clones: dict[int, dict[str, Any]]

    def __getitem__(self, alias: str) -> Any:
        own = self.clones.get(worker.get(), {})
        return own[alias] if alias in own else super().__getitem__(alias)


def _databases_by_worker(workers: int) -> None:
    """Let each worker's connections, in its tasks and threads, mean its clones."""
    found = _Settings(connections.settings)
    found.clones = {
        number: {
            alias: connections[alias].creation.get_test_db_clone_settings(str(number))
            for alias in connections
        }
        for number in range(1, workers + 1)
    }
    contents = {
        alias: connections[alias]._test_serialized_contents
        for alias in connections
        if hasattr(connections[alias], "_test_serialized_contents")
    }
    make = ConnectionHandler.create_connection

    def create_connection(self: ConnectionHandler, alias: str) -> Any:
        made = make(self, alias)
        if self is connections and alias in contents:
            made._test_serialized_contents = contents[alias]
        return made

    connections.settings = found
    ConnectionHandler.create_connection = create_connection


def _caches_by_worker() -> None:
    """Give each worker a cache of content types: it is kept by alias."""
    from django.contrib.contenttypes.models import ContentTypeManager

    def cache(self: Any) -> Any:
        return self.__dict__["_cache"].setdefault(worker.get(), {})

    def start(self: Any, empty: Any) -> None:
        self.__dict__["_cache"] = empty  # copies of a manager share it

    ContentTypeManager._cache = property(cache, start)
