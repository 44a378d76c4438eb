"""The soak, in small."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest import mock

import pytest

from django_async_fast.pool import loop_pool as pool_module

from . import soak
from .conftest import Watch, configured, pool_is_whole
from .switches import listening

REQUESTS = 500


async def replace_the_killed() -> None:
    """Check each pooled connection: one killed at rest fails its next taker, once."""
    (entry,) = pool_module._pools[asyncio.get_running_loop()].values()
    await entry.pool.check()


def test_soak(watch: Watch, dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> soak.Report:
        report = await soak.soak(dsn, REQUESTS)
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
    assert report.outcomes["served"] > REQUESTS * 0.8
    assert report.outcomes["left by the client"]
    assert report.killed
