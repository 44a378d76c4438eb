"""Many tasks, few connections, and what a block and the scope rule cost."""

from bench.suites import case

test_gets_side_by_side = case(
    title="64 tasks over 8 pooled connections, a connection for each get",
    times=30,
    per="get",
    tasks=True,
)
test_units_of_work = case(
    title="64 at once, a pool of 8: connection, 4 gets, connection back",
    times=10,
    per="unit",
    tasks=True,
)
test_empty_block = case(title="An empty block, its pool warm", times=2_000, per="block")
test_scope_rule = case(
    title="The scope rule, nobody waiting", times=50_000, per="statement"
)
