"""Whether each compiled statement is compared with what Django compiles.

`DJANGO_ASYNC_FAST_VERIFY=1` in the environment: slow, and a difference raises. With
`DJANGO_ASYNC_FAST_VERIFY_LOG` it is also written to that file, and at the end, how many
statements were compared.
"""

import atexit
import os
from pathlib import Path
from typing import Any

ON = os.environ.get("DJANGO_ASYNC_FAST_VERIFY") == "1"

# Statements so far.
compared = 0


class Difference(AssertionError):
    """A compiled statement is not what Django would have sent."""


def same(sql: str, params: Any, djangos: tuple[str, Any]) -> None:
    """Raise Difference unless text and parameters are `djangos`, in type and value."""
    global compared
    compared += 1
    wanted, values = djangos
    if sql != wanted or not are_same(params, values):
        difference = f"{sql!r} {params!r}, Django's is {wanted!r} {values!r}"
        log(f"DIFFERENT {difference}")
        raise Difference(difference)


def are_same(params: Any, others: Any) -> bool:
    """Tell whether parameters are of the same types and values."""
    return _plain(params) == _plain(others)


def log(line: str) -> None:
    """Write a line to the file that the environment names."""
    if name := os.environ.get("DJANGO_ASYNC_FAST_VERIFY_LOG"):
        with Path(name).open("a") as file:
            file.write(line + "\n")


def _plain(params: Any) -> list[Any]:
    """Return each parameter's type and value; psycopg's wrappers are not comparable."""
    found = []
    for each in params:
        inside = getattr(each, "obj", each)
        # NaN is not equal to itself; one date is to another with another zone.
        found.append((type(each), type(inside), repr(inside)))
    return found


if ON:
    atexit.register(lambda: log(f"COMPARED {compared}"))
