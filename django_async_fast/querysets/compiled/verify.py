"""Whether each compiled statement is compared with what Django compiles.

`DJANGO_ASYNC_FAST_VERIFY=1` in the environment: slow, and a difference raises.
"""

from __future__ import annotations

import os
from typing import Any

ON = os.environ.get("DJANGO_ASYNC_FAST_VERIFY") == "1"


class Difference(AssertionError):
    """A compiled statement is not what Django would have sent."""


def same(sql: str, params: Any, djangos: tuple[str, Any]) -> None:
    """Raise Difference unless text and parameters are `djangos`, in type and value."""
    wanted, values = djangos
    if sql != wanted or _plain(params) != _plain(values):
        raise Difference(f"{sql!r} {params!r}, Django's is {wanted!r} {values!r}")


def _plain(params: Any) -> list[Any]:
    """Return each parameter's type and value; psycopg's wrappers are not comparable."""
    found = []
    for each in params:
        inside = getattr(each, "obj", each)
        # NaN is not equal to itself; one date is to another with another zone.
        found.append((type(each), type(inside), repr(inside)))
    return found
