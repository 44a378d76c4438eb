"""One row at a time."""

from bench.suites import case

test_get_by_key = case(
    title="Get by primary key, one after the other", times=400, per="get"
)
