"""Queries of everyday code, whose ratios make one table."""

import pytest

from bench.suites import case

pytestmark = pytest.mark.case(times=200, per="query", table="queries")

test_query_get = case(title="get() by key")
test_query_first = case(title="order_by().first()")
test_query_count = case(title="count()")
test_query_exists = case(title="exists()")
test_query_page = case(title="Page: joined, ordered, sliced")
test_query_values = case(title="values()")
test_query_flat = case(title="values_list(flat=True)")
test_query_pk_in = case(title="pk__in")
test_query_icontains = case(title="icontains")
test_query_join = case(title="Filter over a relation")
test_query_q_or = case(title="Q() | Q()")
test_query_annotate = case(title="annotate(Count())")
test_query_related = case(title="Related manager")
test_query_prefetch = case(title="prefetch_related()")
test_query_update = case(title="update() with F()")
test_query_save = case(title="get(), save(update_fields=)")
test_query_create = case(title="create()")
test_query_get_or_create = case(title="get_or_create() that gets")
test_query_never_again = case(title="Chains that never repeat")
test_query_first_time = case(title="A chain's first time", times=40)
test_query_first_of_model = case(title="A model's first query", times=40)
