"""What a class of the core does where its `__init__` has not run: it raises, if anything."""

import pytest

from tests.support.fresh_python import ended

pytest.importorskip("django_async_fast._rows")

TRY = """
from contextlib import suppress

from django_async_fast import _rows

GIVEN = None, {}, (), [], 1, "text", object()
MOST = 7

def attempt(kind, name, arguments):
    found = getattr(kind.__new__(kind), name)
    if callable(found):
        found(*arguments)

for kind in vars(_rows).values():
    if isinstance(kind, type) and kind.__module__ == _rows.__name__:
        for name in vars(kind).keys() - {"__new__"}:
            for given in GIVEN:
                for count in range(MOST + 1):
                    with suppress(Exception):
                        attempt(kind, name, [given] * count)
"""


def test_methods_of_an_unfinished_object_do_not_crash() -> None:
    assert ended("-X", "faulthandler", "-c", TRY).returncode == 0
