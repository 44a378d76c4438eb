"""What Django does in Python for each page, found by the core in a step or two.

For synchronous code as well. Each module yields what it replaces, as `seams()`: owner,
name, replacement, reason. Whatever is not the usual case is left to Django's own.
"""

from collections.abc import Iterator
from typing import Any

from .. import _native
from . import lookups, requests, responses, templates, urls


def seams() -> Iterator[tuple[Any, str, Any, str]]:
    """Yield what the modules of this package replace."""
    of_core = type(_native.rows.lazy_reader)
    for module in (lookups, requests, responses, templates, urls):
        for owner, name, found, reason in module.seams():
            # Those that CPython calls by itself it would call otherwise.
            if type(found) is of_core and not name.startswith("__"):
                found = _native.rows.python_function(found.__wrapped__, found)
            yield owner, name, found, reason
