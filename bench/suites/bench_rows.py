"""All rows of the table, once through."""

import pytest

from bench.suites import case

pytestmark = pytest.mark.case(times=1, per="rows")

test_stream_instances = case(title="Stream of instances: aiterator()")
test_stream_tuples = case(title="Stream of tuples: values_list()")
test_stream_dicts = case(title="Stream of dicts: values()")
test_cached_queryset = case(title="All instances, kept: async for over a queryset")
test_sync_list = case(title="Synchronous: list(queryset)")
test_sync_iterator = case(title="Synchronous: iterator()")
test_select_related = case(title="select_related() over two relations", related=True)
