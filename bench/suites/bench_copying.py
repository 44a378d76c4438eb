"""All rows by COPY: out as CSV, and in from tuples."""

import pytest

pytestmark = pytest.mark.case(times=1, per="rows")


@pytest.mark.case(title="All rows as CSV: acopy_to()")
def test_export_csv(measure):
    measure()


@pytest.mark.case(title="Tuples into an empty table: acopy_from()")
def test_import_tuples(measure):
    measure()
