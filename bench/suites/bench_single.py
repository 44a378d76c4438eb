"""One row at a time."""

import pytest


@pytest.mark.case(title="Get by primary key, one after the other", times=400, per="get")
def test_get_by_key(measure):
    measure()
