"""Queries of everyday code, whose ratios make one table."""

import pytest

pytestmark = pytest.mark.case(times=200, per="query", table="queries")


@pytest.mark.case(title="get() by key")
def test_query_get(race):
    race()


@pytest.mark.case(title="order_by().first()")
def test_query_first(race):
    race()


@pytest.mark.case(title="count()")
def test_query_count(race):
    race()


@pytest.mark.case(title="exists()")
def test_query_exists(race):
    race()


@pytest.mark.case(title="Page: joined, ordered, sliced")
def test_query_page(race):
    race()


@pytest.mark.case(title="values()")
def test_query_values(race):
    race()


@pytest.mark.case(title="values_list(flat=True)")
def test_query_flat(race):
    race()


@pytest.mark.case(title="pk__in")
def test_query_pk_in(race):
    race()


@pytest.mark.case(title="icontains")
def test_query_icontains(race):
    race()


@pytest.mark.case(title="Filter over a relation")
def test_query_join(race):
    race()


@pytest.mark.case(title="Q() | Q()")
def test_query_q_or(race):
    race()


@pytest.mark.case(title="annotate(Count())")
def test_query_annotate(race):
    race()


@pytest.mark.case(title="Related manager")
def test_query_related(race):
    race()


@pytest.mark.case(title="prefetch_related()")
def test_query_prefetch(race):
    race()


@pytest.mark.case(title="update() with F()")
def test_query_update(race):
    race()


@pytest.mark.case(title="get(), save(update_fields=)")
def test_query_save(race):
    race()


@pytest.mark.case(title="create()")
def test_query_create(race):
    race()


@pytest.mark.case(title="get_or_create() that gets")
def test_query_get_or_create(race):
    race()


@pytest.mark.case(title="Chains that never repeat")
def test_query_never_again(race):
    race()


@pytest.mark.case(title="A chain's first time", times=40)
def test_query_first_time(race):
    race()
