"""All rows by COPY: out as CSV, and in from tuples."""

import pytest

from bench.suites import case

pytestmark = pytest.mark.case(times=1, per="rows")

test_export_csv = case(title="All rows as CSV: acopy_to()")
test_import_tuples = case(title="Tuples into an empty table: acopy_from()")
