"""The soak, in small."""

import asyncio
import threading
from typing import Any
from unittest import mock

import pytest

from django_async_fast import new_connection
from django_async_fast.asgi import get_asgi_application
from django_async_fast.pool import loop_pool as pool_module
from tests.support.configured import configured, pool_is_whole
from tests.support.every_await import listening
from tests.testapp.models import Author

from . import soak
from .conftest import Watch

REQUESTS = 500


async def replace_the_killed() -> None:
    """Check each pooled connection: one killed at rest fails its next taker, once."""
    (entry,) = pool_module._pools[asyncio.get_running_loop()].values()
    await entry.pool.check()


@pytest.mark.parametrize("ours", [False, True], ids=["django", "application"])
def test_soak(
    watch: Watch, dsn: str, caplog: pytest.LogCaptureFixture, ours: bool
) -> None:
    async def main() -> soak.Report:
        report = await soak.soak(dsn, REQUESTS, ours)
        await watch.idle()
        await replace_the_killed()
        await pool_is_whole()
        return report

    caplog.set_level("CRITICAL")
    pool: dict[str, Any] = {"min_size": 8, "max_size": 8, "timeout": 30}
    options = {"application_name": soak.NAME, "pool": pool}
    with (
        configured(OPTIONS=options),
        mock.patch.object(soak, "KILL_EVERY", 25),
        listening() as noise,
    ):
        report = asyncio.run(main())
        noise.check()
    assert sum(report.outcomes.values()) == REQUESTS
    # A fourth of the application's are to fail.
    assert report.outcomes["served"] > REQUESTS * (0.55 if ours else 0.8)
    assert report.outcomes["left by the client"]
    assert report.killed


def test_many_requests_at_once(dsn: str, settings_override: Any) -> None:
    """Over a pool of 8: each answer right, no thread started."""
    at_once = 600

    async def main() -> None:
        before = set(threading.enumerate())
        async with new_connection():
            await Author.objects.abulk_create(Author(name=str(i)) for i in range(30))
        application = get_asgi_application()
        begun = soak._resident()
        drive = soak.Soak(application, at_once, ("/", "/sync", "/stream"))
        requests = [drive._request(None) for _ in range(at_once)]
        assert set(await asyncio.gather(*requests)) == {"served"}
        assert set(threading.enumerate()) == before
        assert (soak._resident() - begun) / at_once < 100  # KiB

    pool: dict[str, Any] = {"min_size": 8, "max_size": 8, "timeout": 60}
    with configured(OPTIONS={"application_name": soak.NAME, "pool": pool}):
        views = soak.Views(soak.Report(), blocks=False)
        with soak.urls(views):
            asyncio.run(main())
    assert not views.report.errors
