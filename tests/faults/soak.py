"""Thousands of requests, with clients that go away and backends that are killed.

    python -m tests.faults.soak [REQUESTS]

starts a server of its own and prints what it has seen, of Django's handler with blocks in
the view and of the package's application. No connection may be lost,
memory must stay flat, and a request may fail with a database error only.
"""

import asyncio
import contextlib
import logging
import os
import random
import sys
import threading
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
# Of how many authors the first is.
ANSWER = b"30: 0"

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
    threads: int = 0
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

    def __init__(
        self,
        application: Application,
        requests: int,
        paths: Any = ("/",),
        seed: int = 1,
    ) -> None:
        self.paths = paths
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
        body: list[bytes] = []
        whole: list[bool] = []
        messages: list[dict[str, Any]] = [{"type": "http.request", "body": b""}]

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            await asyncio.sleep(3600 if patience is None else patience)
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if "status" in message:
                status.append(message["status"])
            body.append(message.get("body", b""))
            if "status" not in message and not message.get("more_body"):
                whole.append(True)

        scope = {
            "type": "http",
            "method": "GET",
            "path": self.random.choice(self.paths),
            "query_string": b"",
            "headers": [],
        }
        from django.db import DatabaseError, InterfaceError

        try:
            await self.application(scope, receive, send)
        except (DatabaseError, InterfaceError):
            assert scope["path"] == "/stream"  # after the first byte: for the server
            return "failed"
        if not whole:
            return "left by the client"
        if status != [200]:
            return "failed"
        assert b"".join(body) == ANSWER, body
        return "served"

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
        from tests.support.configured import the_pool

        for _ in range(500):
            self.report.pool = the_pool().get_stats()
            if self.report.pool["pool_available"] == self.report.pool["pool_size"]:
                return
            await asyncio.sleep(0.01)


class Views:
    """Reads, a transaction, a stream; errors are counted."""

    def __init__(self, report: Report, blocks: bool) -> None:
        from django_async_fast import new_connection

        self.report = report
        # In the application each request has one.
        self.block: Any = new_connection if blocks else contextlib.nullcontext

    async def asynchronous(self, request: Any) -> Any:
        from django.db import transaction
        from django.http import HttpResponse

        from tests.testapp.models import Author, Unique

        count = 0
        with self._counted():
            async with self.block():
                first = await Author.objects.order_by("pk").afirst()
                async with transaction.atomic():
                    key = str(random.randrange(50))
                    one, _ = await Unique.objects.aget_or_create(key=key)
                    one.value += 1
                    await one.asave()
                async for _ in Author.objects.aiterator(chunk_size=10):
                    count += 1
        return HttpResponse(f"{count}: {first.name}")

    def synchronous(self, request: Any) -> Any:
        from django.db import transaction
        from django.http import HttpResponse

        from tests.testapp.models import Author, Unique

        with self._counted():
            first = Author.objects.order_by("pk").first()
            with transaction.atomic():
                key = str(random.randrange(50))
                one, _ = Unique.objects.get_or_create(key=key)
                one.value += 1
                one.save()
            count = len(list(Author.objects.iterator(chunk_size=10)))
        return HttpResponse(f"{count}: {first.name}")

    async def streaming(self, request: Any) -> Any:
        from django.http import StreamingHttpResponse

        from tests.testapp.models import Author

        async def parts() -> Any:
            yield f"{await Author.objects.acount()}: "
            async for author in Author.objects.order_by("pk")[:1].aiterator():
                yield author.name

        return StreamingHttpResponse(parts())

    def failing(self, request: Any) -> Any:
        from tests.testapp.models import Author

        return Author.objects.get(pk=-1)

    @contextlib.contextmanager
    def _counted(self) -> Any:
        from django.db import DatabaseError, InterfaceError

        try:
            yield
        except Exception as exc:
            self.report.errors[type(exc).__name__] += 1
            if not isinstance(exc, (DatabaseError, InterfaceError)):
                self.report.unexpected.append(exc)
            raise


@contextlib.contextmanager
def urls(views: Views) -> Any:
    """Serve the views meanwhile."""
    from django.test import override_settings
    from django.urls import path

    class URLs:
        urlpatterns = [
            path("", views.asynchronous),
            path("sync", views.synchronous),
            path("stream", views.streaming),
            path("fail", views.failing),
        ]

    with override_settings(ROOT_URLCONF=URLs):
        yield


OURS = "/", "/sync", "/stream", "/fail"


async def soak(dsn: str, requests: int, ours: bool = False) -> Report:
    """Run against the database of the `default` alias; raise what went wrong.

    With `ours`, requests of the package's application; no thread may be started.
    """
    from django.core.handlers.asgi import ASGIHandler

    from django_async_fast import new_connection
    from django_async_fast.asgi import get_asgi_application
    from tests.testapp.models import Author

    async with new_connection():
        await Author.objects.all().adelete()
        await Author.objects.abulk_create(Author(name=str(i)) for i in range(30))
    drive = Soak(None, requests, OURS if ours else ("/",))
    before = set(threading.enumerate())
    with urls(Views(drive.report, blocks=not ours)):
        drive.application = get_asgi_application() if ours else ASGIHandler()
        report = await drive.run(dsn)
    report.threads = len(set(threading.enumerate()) - before)
    report.check()
    assert not (ours and report.threads), report
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
            for ours in (False, True):
                report = asyncio.run(soak(dsn, requests, ours))
                print("application" if ours else "Django's handler", report)
                print(f"memory after the first half: {report.growth():+.1%}")
                assert report.growth() < 0.05, "memory grows"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
