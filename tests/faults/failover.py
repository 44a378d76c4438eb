"""`python -m tests.faults.failover`: a site at work while its primary is replaced.

Reads databases as JSON from standard input. Writes a line for each piece of work: when it
began and ended, what it was, and its error.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import django
from django.conf import settings

SECONDS = 9.0


def set_up(databases: dict[str, Any]) -> Any:
    """Return a model of rows that both servers have."""
    settings.configure(
        INSTALLED_APPS=["django_async_fast"],
        DATABASES=databases,
        DATABASE_ROUTERS=["django_async_fast.replicas.ReplicaRouter"],
        DJANGO_ASYNC_FAST={"REPLICAS": ["replica"]},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()
    from django.db import models

    class Visit(models.Model):
        path = models.CharField(max_length=50)

        class Meta:
            app_label = "site"
            db_table = "visit"

    return Visit


def make(model: Any) -> None:
    from django.db import connection

    with connection.schema_editor() as editor:
        editor.create_model(model)
    model.objects.bulk_create([model(path=f"/{number}") for number in range(500)])
    connection.close()
    connection.close_pool()


def report(began: float, kind: str, error: str = "") -> None:
    print(json.dumps([began, time.monotonic(), kind, error]), flush=True)


async def work(kind: str, do: Callable[[], Awaitable[None]]) -> None:
    end = time.monotonic() + SECONDS
    while (began := time.monotonic()) < end:
        try:
            await do()
        except Exception as exc:
            report(began, kind, f"{type(exc).__name__}: {exc}")
        else:
            report(began, kind)
        await asyncio.sleep(0.02)


async def main(visit: Any) -> None:
    from django.db import transaction

    from django_async_fast import new_connection, pool_stats

    async def read() -> None:
        async with new_connection():
            await visit.objects.aget(pk=3)
            assert len([each async for each in visit.objects.filter(pk__lte=50)]) == 50

    async def stream() -> None:
        async with new_connection():
            count = 0
            async for _ in visit.objects.filter(pk__lte=400).aiterator(chunk_size=100):
                count += 1
                if count % 100 == 0:
                    await asyncio.sleep(0.02)
            assert count == 400

    async def write() -> None:
        async with new_connection(), transaction.atomic():
            made = await visit.objects.acreate(path="/new")
            made.path = "/newer"
            await made.asave()
            assert await visit.objects.filter(path="/newer", pk=made.pk).aexists()
            await made.adelete()

    async def read_back() -> None:
        async with new_connection():
            made = await visit.objects.acreate(path="/mine")
            assert await visit.objects.filter(pk=made.pk).aexists()  # on the primary

    print("begun", flush=True)
    await asyncio.gather(
        *[work("read", read) for _ in range(3)],
        *[work("write", write) for _ in range(2)],
        work("stream", stream),
        work("read back", read_back),
    )
    await asyncio.sleep(0.1)
    print(json.dumps({alias: each._asdict() for alias, each in pool_stats().items()}))


if __name__ == "__main__":
    databases = json.loads(sys.stdin.readline())
    model = set_up(databases)
    if sys.argv[1:] == ["--make"]:
        make(model)
    else:
        asyncio.run(main(model))
