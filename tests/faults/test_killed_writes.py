"""The session is killed on the server at each await of a large write, or of an export."""

import pytest
from django.db import OperationalError

from tests.support.every_await import MOST, Steps, run

from .conftest import Watch, configured
from .scenarios import (
    SCENARIOS,
    Scenario,
    bulk_create,
    bulk_update,
    copied_in,
    copied_in_from_a_file,
    copied_out,
    copied_out_in_pieces,
    deleted_by_many_keys,
    fill,
    found_by_many_keys,
)

LARGE = (
    *(bulk_create, bulk_update, copied_in, copied_in_from_a_file, copied_out),
    *(copied_out_in_pieces, deleted_by_many_keys, found_by_many_keys),
)


async def killed_at_every_await(watch: Watch, scenario: Scenario) -> None:
    query, allowed = SCENARIOS[scenario]
    lost = 0
    for at in range(1, MOST):
        fill(watch)
        steps = Steps(scenario(), at, "cancel", watch.terminate)
        try:
            await steps
        except OperationalError:
            lost += 1
        await watch.gone()
        left = watch.value(query)
        assert left in allowed, f"at await {at}: {left}"
        if not steps.happened:
            assert left == allowed[-1]
            assert lost
            return
    raise AssertionError("the scenario has no end")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("scenario", LARGE)
def test_killed_at_every_await(watch: Watch, scenario: Scenario, loop: str) -> None:
    with configured(OPTIONS={}):
        run(loop, killed_at_every_await(watch, scenario))
