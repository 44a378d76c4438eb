"""`make sanitize` sees what it is for: freed memory that a compiled part reads."""

import ctypes

import pytest

from tests.support.fresh_python import ended

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "__asan_init"), reason="only in make sanitize"
)

ROWS = """
from django_async_fast import _rows as rows

class Row: pass

values = [Row()]
drop(values[0])
list(rows.RowIterator(iter([rows.TupleBatch(rows.TuplePlan(width=1), values)]).__next__))
"""

DECODE = """
from django_async_fast import _native
from tests.support.forged_results import forged

decoder = _native.decode.RowDecoder([25], loaders={0: drop})
result = forged((25, b"some text"))
decoder.decode(result.pgresult_ptr, 0)
"""

DROP = """
import ctypes

def drop(thing):
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(thing))
"""


@pytest.mark.parametrize("code", [ROWS, DECODE], ids=["rows", "decode"])
def test_use_after_free_is_reported(code: str) -> None:
    run = ended("-c", DROP + code, ASAN_OPTIONS="detect_leaks=0")
    assert "AddressSanitizer: heap-use-after-free" in run.stderr
