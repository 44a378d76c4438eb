"""What a run ran on: for the head of a test run, the demo and the benchmarks."""

import platform
from importlib.metadata import version
from types import ModuleType

import psycopg


def versions() -> str:
    return (
        f"{platform.python_implementation()} {platform.python_version()}, "
        f"Django {version('Django')}, asgiref {version('asgiref')}, "
        f"psycopg {version('psycopg')} ({psycopg.pq.__impl__}, "
        f"libpq {psycopg.pq.version() / 10000:.4f}), greenlet {version('greenlet')}"
    )


def compiled_parts() -> str:
    """Name each compiled part in use and how it was built."""
    from django_async_fast import _native

    if not _native.COMPILED:
        return f"none ({_native.REASON})"
    return ", ".join(_build_of(part) for part in (_native.rows, _native.decode))


def _build_of(part: ModuleType) -> str:
    facts = ", ".join(f"{key} {value}" for key, value in part.build_info().items())
    return f"{part.__name__.rpartition('.')[2]} ({facts})"
