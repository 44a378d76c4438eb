"""Chooses between the compiled core and Django's own code. Nobody else does.

DJANGO_ASYNC_FAST_IMPL=native raises when a compiled part is missing or cannot
be used; =python never loads them; unset takes what is there.
"""

import os
from typing import Any

IMPL = os.environ.get("DJANGO_ASYNC_FAST_IMPL", "")

rows: Any = None
decode: Any = None
REASON = ""


def _load() -> str:
    """Load both compiled parts; return why they cannot be used, or ''."""
    global rows, decode
    if IMPL not in ("", "native", "python"):
        raise ImportError(
            f"DJANGO_ASYNC_FAST_IMPL={IMPL!r} is neither 'native' nor 'python'."
        )
    if IMPL == "python":
        return "DJANGO_ASYNC_FAST_IMPL=python"
    try:
        from psycopg import pq

        from . import _decode, _rows

        _decode.load_libpq(_libpq_path(pq.__impl__))
    except (AttributeError, ImportError, OSError) as exc:
        if IMPL == "native":
            raise ImportError(
                f"DJANGO_ASYNC_FAST_IMPL=native, but the compiled core fails: {exc}"
            ) from exc
        return str(exc)
    rows, decode = _rows, _decode
    return ""


def _libpq_path(implementation: str) -> str:
    """Return the shared object through which psycopg has loaded libpq."""
    if implementation == "binary":
        from psycopg_binary import pq as loaded  # type: ignore[attr-defined]
    elif implementation == "c":
        from psycopg_c import pq as loaded
    else:
        from psycopg.pq import _pq_ctypes

        return str(_pq_ctypes.pq._name)  # type: ignore[attr-defined]
    return str(loaded.__file__)


REASON = _load()
COMPILED = not REASON
