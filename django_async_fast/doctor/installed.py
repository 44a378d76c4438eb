"""Which versions are installed, and whether the compiled parts are in use."""

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from .. import _native
from .._version import __version__
from ..drivers.psycopg.requirements import psycopg_problem
from .findings import Finding, note, ok, problem

_SHOWN = "Django", "asgiref", "greenlet", "psycopg", "psycopg-pool"


def findings() -> Iterator[Finding]:
    """Yield the versions, and what does not go with what."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    yield ok(f"django-async-fast {__version__}, {python}")
    yield ok(", ".join(f"{name} {_version(name)}" for name in _SHOWN))
    if wrong := psycopg_problem():
        sentence, _, remedy = wrong.partition(" Install it: ")
        yield problem(sentence, remedy)
        return
    yield _compiled_parts()


def _compiled_parts() -> Finding:
    if _native.COMPILED:
        from psycopg import pq

        parts = _native.rows, _native.decode
        if any(part.build_info()["profile"] != "release" for part in parts):
            return note("the compiled parts are not optimised", "install a wheel")
        return ok(f"compiled parts in use, over libpq of psycopg's {pq.__impl__}")
    if _native.IMPL == "python":
        remedy = "unset DJANGO_ASYNC_FAST_IMPL"
    else:
        remedy = "install a wheel, or a C compiler and cargo, and reinstall"
    return note(
        f"the compiled parts are not in use ({_native.REASON}): Django's own code "
        "builds rows, and synchronous views run in threads",
        remedy,
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
