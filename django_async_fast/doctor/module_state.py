"""Thread-locals and locks that other packages keep at module level.

Requests take turns in one thread. What is in a `threading.local` is exchanged with each
of them; a lock that is held over a query stops them all.
"""

import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from .. import _native
from .findings import Finding, listed, note, ok

_LOCKS = (
    type(threading.Lock()),
    type(threading.RLock()),
    threading.Condition,
    threading.Semaphore,
)
# Their locks are not held over a query, and their locals are known to the package.
KNOWN = frozenset(
    {
        *("django", "asgiref", "sqlparse", "greenlet", "psycopg"),
        *("psycopg_pool", "psycopg_binary", "psycopg_c", "django_async_fast"),
    }
)


def findings() -> Iterator[Finding]:
    """Yield the thread-locals and the locks, by name."""
    thread_locals = dict(_held(threading.local))
    for package, names in sorted(thread_locals.items()):
        text = f"{package} keeps {listed(names)}"
        if _native.COMPILED:
            yield ok(f"{text} by thread: each request has its own")
        else:
            yield note(
                f"{text} by thread: without the compiled parts requests have threads",
                "install the compiled parts",
            )
    locks = dict(_held(*_LOCKS))
    for package, names in sorted(locks.items()):
        yield note(
            f"{package} has locks: {listed(names)}. One that is held over a query "
            "stops every other request",
            'if so, list what takes it in DJANGO_ASYNC_FAST["BLOCKING"]; STALL_WATCH '
            "names who holds it",
        )
    if not thread_locals and not locks:
        yield ok("no thread-locals or locks of other packages at module level")


def _held(*kinds: type[Any]) -> Iterator[tuple[str, set[str]]]:
    found: dict[str, set[str]] = defaultdict(set)
    seen: set[int] = set()
    for module, values in _modules():
        for name, value in values:
            # Some modules' values answer to everything.
            if issubclass(type(value), kinds) and id(value) not in seen:
                seen.add(id(value))
                found[module.partition(".")[0]].add(f"{module}.{name}")
    yield from found.items()


def _modules() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    for name, module in sorted(sys.modules.items()):
        package = name.partition(".")[0]
        if package in KNOWN or package in sys.stdlib_module_names:
            continue
        values = list(getattr(module, "__dict__", {}).items())
        yield name, values
        for called, value in values:
            if isinstance(value, type) and value.__module__ == name:
                own = vars(value).items()
                yield name, [(f"{called}.{key}", each) for key, each in own]
