"""`pool_stats()`, and the same for OpenTelemetry."""

import asyncio
from textwrap import dedent
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connections

from django_async_fast import new_connection, pool_stats
from tests.support.fresh_python import ended
from tests.support.needed import needed
from tests.support.until import until
from tests.testapp.models import Tag


@pytest.fixture
def small_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = {"min_size": 1, "max_size": 2, "timeout": 0.3}
    settings = connections.settings["pooled"]
    monkeypatch.setitem(settings["OPTIONS"], "pool", pool)


async def get(conn: Any) -> None:
    await Tag.objects.using("pooled").acount()


async def test_what_blocks_have_and_wait_for(small_pool: None, dsn: str) -> None:
    assert "pooled" not in pool_stats()
    async with new_connection("pooled") as one:
        await get(one)
        stats = pool_stats()["pooled"]
        assert (stats.min_size, stats.max_size, stats.used) == (1, 2, 1)
        assert stats.idle <= 1
        async with new_connection("pooled") as two:
            await get(two)
            assert pool_stats()["pooled"].used == 2

            async def third() -> None:
                async with new_connection("pooled") as three:
                    await get(three)

            waiting = asyncio.create_task(third())
            await until(lambda: pool_stats()["pooled"].waiting == 1)
            with pytest.raises(OperationalError, match="in use"):
                await waiting
            pid = two.connection.info.backend_pid
            with psycopg.connect(dsn, autocommit=True) as admin:
                admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
            with pytest.raises(OperationalError):
                await get(two)
    await until(lambda: pool_stats()["pooled"].reset)
    stats = pool_stats()["pooled"]
    assert (stats.used, stats.waiting, stats.failed) == (0, 0, 1)
    assert stats.requests >= 3
    assert stats.queued >= 1
    assert stats.wait_ms >= 200
    assert stats.opened >= 2


async def test_a_closed_pool_has_none(small_pool: None) -> None:
    async with new_connection("pooled") as conn:
        await get(conn)
        assert "pooled" in pool_stats()
    async with new_connection("pooled") as conn:
        from django_async_fast import bridge

        await bridge.run(conn.close_pool)
        await asyncio.sleep(0)
    await until(lambda: "pooled" not in pool_stats())


METRICS = """
    import asyncio, os, sys
    import django
    from django.conf import settings
    from django.db import connection
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from psycopg.conninfo import conninfo_to_dict

    dsn = conninfo_to_dict(os.environ["DATABASE_URL"])
    settings.configure(
        INSTALLED_APPS=["django_async_fast"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": dsn["dbname"],
                "USER": dsn.get("user", ""),
                "HOST": dsn["host"],
                "PORT": dsn.get("port", ""),
                "OPTIONS": {"pool": {"min_size": 1, "max_size": 1}},
            }
        },
    )
    django.setup()
    from django_async_fast import new_connection

    reader = InMemoryMetricReader()
    if sys.argv[1] == "recorded":
        metrics.set_meter_provider(MeterProvider([reader]))

    async def main():
        async with new_connection() as conn:
            async with conn.acursor() as cursor:
                await cursor.execute("SELECT 1")
        async with new_connection() as conn:
            async with conn.acursor() as cursor:
                await cursor.execute("SELECT 1")
            from django_async_fast.pool import loop_pool

            (pool,) = loop_pool.open_pools()
            print(type(pool).__name__)
            if sys.argv[1] != "recorded":
                return
            (resource,) = reader.get_metrics_data().resource_metrics
        for metric in resource.scope_metrics[0].metrics:
            for point in metric.data.data_points:
                attributes = dict(point.attributes)
                assert attributes.pop("db.client.connection.pool.name") == "default"
                if metric.name.endswith("_time"):
                    # Not longer than all of it took, and not nothing.
                    assert 0 < point.sum < 20, point
                    print(metric.name, metric.unit, point.count)
                    continue
                print(metric.name, metric.unit, *attributes.values(), point.value)

    asyncio.run(main())
"""


def measured(how: str) -> list[str]:
    needed("opentelemetry.sdk.metrics")
    done = ended("-c", dedent(METRICS), how)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_opentelemetry_has_them_by_its_conventions(server_dsn: str) -> None:
    assert sorted(measured("recorded")) == [
        "MeasuredPool",
        "db.client.connection.count {connection} idle 0",
        "db.client.connection.count {connection} used 1",
        "db.client.connection.create_time s 1",
        "db.client.connection.idle.max {connection} 1",
        "db.client.connection.idle.min {connection} 1",
        "db.client.connection.max {connection} 1",
        "db.client.connection.pending_requests {request} 0",
        "db.client.connection.timeouts {timeout} 0",
        "db.client.connection.use_time s 1",
        "db.client.connection.wait_time s 2",
    ]


def test_where_nobody_records_nothing_is_measured(server_dsn: str) -> None:
    assert measured("not recorded") == ["Pool"]
