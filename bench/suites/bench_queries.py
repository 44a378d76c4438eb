"""Queries of everyday code, whose ratios make one table."""

import pytest

pytestmark = pytest.mark.case(times=200, per="query", table="queries")


@pytest.mark.case(title="get() by key")
def test_query_get(measure):
    measure()


@pytest.mark.case(title="order_by().first()")
def test_query_first(measure):
    measure()


@pytest.mark.case(title="count()")
def test_query_count(measure):
    measure()


@pytest.mark.case(title="exists()")
def test_query_exists(measure):
    measure()


@pytest.mark.case(title="Page: joined, ordered, sliced")
def test_query_page(measure):
    measure()


@pytest.mark.case(title="values()")
def test_query_values(measure):
    measure()


@pytest.mark.case(title="values_list(flat=True)")
def test_query_flat(measure):
    measure()


@pytest.mark.case(title="pk__in")
def test_query_pk_in(measure):
    measure()


@pytest.mark.case(title="icontains")
def test_query_icontains(measure):
    measure()


@pytest.mark.case(title="Filter over a relation")
def test_query_join(measure):
    measure()


@pytest.mark.case(title="Q() | Q()")
def test_query_q_or(measure):
    measure()


@pytest.mark.case(title="annotate(Count())")
def test_query_annotate(measure):
    measure()


@pytest.mark.case(title="Related manager")
def test_query_related(measure):
    measure()


@pytest.mark.case(title="prefetch_related()")
def test_query_prefetch(measure):
    measure()


@pytest.mark.case(title="update() with F()")
def test_query_update(measure):
    measure()


@pytest.mark.case(title="get(), save(update_fields=)")
def test_query_save(measure):
    measure()


@pytest.mark.case(title="create()")
def test_query_create(measure):
    measure()


@pytest.mark.case(title="get_or_create() that gets")
def test_query_get_or_create(measure):
    measure()


@pytest.mark.case(title="Chains that never repeat")
def test_query_never_again(measure):
    measure()


@pytest.mark.case(title="A chain's first time", times=40)
def test_query_first_time(measure):
    measure()
