"""What Django does in Python for each page, found by the core in a step or two.

For synchronous code as well. Each module yields what it replaces, as `seams()`: owner,
name, replacement, reason. Whatever is not the usual case is left to Django's own.
"""

from collections.abc import Iterator
from typing import Any

from . import lookups, requests, responses, templates, urls


def seams() -> Iterator[tuple[Any, str, Any, str]]:
    """Yield what the modules of this package replace."""
    for module in (lookups, requests, responses, templates, urls):
        yield from module.seams()
