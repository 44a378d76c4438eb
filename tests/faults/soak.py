"""Thousands of requests, with clients that go away and backends that are killed.

    python -m tests.faults.soak [REQUESTS]

starts a server of its own and prints what it has seen. No connection may be lost,
memory must stay flat, and a request may fail with a database error only.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

CONCURRENCY = 64
POOL_SIZE = 16
DISCONNECTS = 0.05
KILL_EVERY = 200  # requests: by the clock, a slow machine would serve too few
NAME = "soak"

Application = Any


@dataclass
class Report:
    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    unexpected: list[Exception] = field(default_factory=list)
    killed: int = 0
    # Resident memory in KiB, at each tenth of the requests.
    memory: list[int] = field(default_factory=list)
    pool: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def growth(self) -> float:
        """Growth of memory after the first half, as a share."""
        half = self.memory[len(self.memory) // 2]
        return max(self.memory[len(self.memory) // 2 :]) / half - 1

    def check(self) -> None:
        assert not self.unexpected, self.unexpected
        assert self.pool["pool_available"] == self.pool["pool_size"], self.pool
        assert not self.pool.get("requests_waiting"), self.pool


class Soak:
    """Drives an ASGI application as a server would."""

    def __init__(self, application: Application, requests: int, seed: int = 1) -> None:
        self.application = application
        self.requests = requests
        self.random = random.Random(seed)
        self.report = Report()
        self._begun = 0

    async def run(self, dsn: str) -> Report:
        began = time.monotonic()
        killer = asyncio.create_task(self._kill(dsn))
        async with asyncio.TaskGroup() as group:
            for _ in range(CONCURRENCY):
                group.create_task(self._client())
        killer.cancel()
        await asyncio.wait([killer])
        await self._settle()
        self.report.seconds = time.monotonic() - began
        return self.report

    async def _client(self) -> None:
        while self._begun < self.requests:
            self._begun += 1
            if self._begun % max(self.requests // 10, 1) == 0:
                self.report.memory.append(_resident())
            leaves = self.random.random() < DISCONNECTS
            patience = self.random.uniform(0, 0.05) if leaves else None
            self.report.outcomes[await self._request(patience)] += 1

    async def _request(self, patience: float | None) -> str:
        status: list[int] = []
        messages: list[dict[str, Any]] = [{"type": "http.request", "body": b""}]

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            await asyncio.sleep(3600 if patience is None else patience)
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if "status" in message:
                status.append(message["status"])

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "headers": [],
        }
        await self.application(scope, receive, send)
        if not status:
            return "left by the client"
        return "served" if status == [200] else "failed"

    async def _kill(self, dsn: str) -> None:
        admin = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
        async with admin:
            killed_at = 0
            while True:
                await asyncio.sleep(0.01)
                if self._begun - killed_at < KILL_EVERY:
                    continue
                killed_at = self._begun
                found = await admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = %s ORDER BY random() LIMIT 1",
                    [NAME],
                )
                self.report.killed += found.rowcount

    async def _settle(self) -> None:
        from .conftest import the_pool

        for _ in range(500):
            self.report.pool = the_pool().get_stats()
            if self.report.pool["pool_available"] == self.report.pool["pool_size"]:
                return
            await asyncio.sleep(0.01)


def view(report: Report) -> Any:
    """Return a view: reads, a transaction, a stream; its errors are counted."""
    from django.db import DatabaseError, InterfaceError, transaction
    from django.http import HttpResponse

    from django_async_fast import new_connection
    from tests.testapp.models import Author, Unique

    async def work(request: Any) -> HttpResponse:
        async with new_connection():
            first = await Author.objects.afirst()
            async with transaction.atomic():
                key = str(random.randrange(50))
                one, _ = await Unique.objects.aget_or_create(key=key)
                one.value += 1
                await one.asave()
            async for _ in Author.objects.aiterator(chunk_size=10):
                pass
        return HttpResponse(str(first))

    async def counted(request: Any) -> HttpResponse:
        try:
            return await work(request)
        except Exception as exc:
            report.errors[type(exc).__name__] += 1
            if not isinstance(exc, (DatabaseError, InterfaceError)):
                report.unexpected.append(exc)
            raise

    return counted


@contextlib.contextmanager
def urls(report: Report) -> Any:
    """Serve the view at / meanwhile."""
    from django.test import override_settings
    from django.urls import path

    class URLs:
        urlpatterns = [path("", view(report))]

    with override_settings(ROOT_URLCONF=URLs):
        yield


async def soak(dsn: str, requests: int) -> Report:
    """Run against the database of the `default` alias; raise what went wrong."""
    from django.core.handlers.asgi import ASGIHandler

    from django_async_fast import new_connection
    from tests.testapp.models import Author

    async with new_connection():
        await Author.objects.abulk_create(Author(name=str(i)) for i in range(30))
    drive = Soak(None, requests)
    with urls(drive.report):
        drive.application = ASGIHandler()
        report = await drive.run(dsn)
    report.check()
    return report


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def main(requests: int) -> None:
    from tools.postgres import database, django_database, postgres

    logging.disable(logging.ERROR)
    with postgres() as server:
        os.environ["DATABASE_URL"] = server
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        import django
        from django.core.management import call_command
        from django.db import connections

        django.setup()
        with database(server, "soak") as dsn:
            options = {
                "application_name": NAME,
                "pool": {"min_size": POOL_SIZE, "max_size": POOL_SIZE, "timeout": 30},
            }
            settings = connections.settings["default"]
            settings.update(django_database(dsn, "soak"))
            call_command("migrate", run_syncdb=True, verbosity=0)
            connections.close_all()
            settings["OPTIONS"] = options
            report = asyncio.run(soak(dsn, requests))
    print(report)
    print(f"memory after the first half: {report.growth():+.1%}")
    assert report.growth() < 0.05, "memory grows"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
