"""Many rows of ten columns written, or found, at once; the ratios make one table."""

import pytest

from bench.suites import case

pytestmark = pytest.mark.case(per="row", table="writes")

test_bulk_create_1 = case(title="bulk_create() of 1", times=1)
test_bulk_create_10 = case(title="bulk_create() of 10", times=10)
test_bulk_create_2000 = case(title="bulk_create() of 2,000", times=2_000)
test_bulk_create_100000 = case(title="bulk_create() of 100,000", times=100_000)
test_bulk_update_200 = case(title="bulk_update() of 200", times=200)
test_bulk_update_2000 = case(title="bulk_update() of 2,000", times=2_000)
test_bulk_update_10000 = case(title="bulk_update() of 10,000", times=10_000)
test_bulk_find_10000 = case(title="pk__in of 10,000", times=10_000)
