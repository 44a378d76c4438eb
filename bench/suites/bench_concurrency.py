"""Many tasks, few connections, and what a block and the scope rule cost."""

import pytest


@pytest.mark.case(
    title="64 tasks over 8 pooled connections, a connection for each get",
    times=30,
    per="get",
    tasks=True,
)
def test_gets_side_by_side(measure):
    measure()


@pytest.mark.case(
    title="64 at once, a pool of 8: connection, 4 gets, connection back",
    times=10,
    per="unit",
    tasks=True,
)
def test_units_of_work(measure):
    measure()


@pytest.mark.case(title="An empty block, its pool warm", times=2_000, per="block")
def test_empty_block(measure):
    measure()


@pytest.mark.case(title="The scope rule, nobody waiting", times=50_000, per="statement")
def test_scope_rule(measure):
    measure()
