"""All rows of the table, once through."""

import pytest

pytestmark = pytest.mark.case(times=1, per="rows")


@pytest.mark.case(title="Stream of instances: aiterator()")
def test_stream_instances(measure):
    measure()


@pytest.mark.case(title="Stream of tuples: values_list()")
def test_stream_tuples(measure):
    measure()


@pytest.mark.case(title="Stream of dicts: values()")
def test_stream_dicts(measure):
    measure()


@pytest.mark.case(title="All instances, kept: async for over a queryset")
def test_cached_queryset(measure):
    measure()


@pytest.mark.case(title="Synchronous: list(queryset)")
def test_sync_list(measure):
    measure()


@pytest.mark.case(title="Synchronous: iterator()")
def test_sync_iterator(measure):
    measure()


@pytest.mark.case(title="select_related() over two relations", related=True)
def test_select_related(measure):
    measure()
