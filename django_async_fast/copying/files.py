"""Files that a COPY is written to, or read from: paths, text or binary, `async def`."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction


def writer(file: Any, format: str, stack: ExitStack) -> Callable[[bytes], object]:
    """Return what writes bytes to `file`; what it opens `stack` closes."""
    if isinstance(file, (str, os.PathLike)):
        file = stack.enter_context(open(file, "wb"))  # noqa: PTH123, SIM115
    write = _waiting(file.write)
    if not is_text(file):
        return write
    _refuse_binary(format)
    # A row is not cut, so neither is a character.
    return lambda piece: write(piece.decode())


def is_text(file: Any) -> bool:
    """Tell whether a file takes and gives text, not bytes."""
    return (
        isinstance(file, io.TextIOBase) or getattr(file, "encoding", None) is not None
    )


def _refuse_binary(format: str) -> None:
    if format == "binary":
        raise TypeError("A file in text mode holds no binary COPY: open it as binary.")


def _waiting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that waits for what an `async def` one does."""
    return async_to_sync(function) if iscoroutinefunction(function) else function
