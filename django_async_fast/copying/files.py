"""Files that a COPY is written to, or read from: paths, text or binary, `async def`."""

import codecs
import io
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction

from ..drivers.psycopg.copies import SIZE


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


# What a file is read in.
DATA = (bytes, bytearray, memoryview, str)


def pieces(source: Any, stack: ExitStack) -> Iterator[Any] | None:
    """Return what a path or a file has, 64 KB at a time; None if it is neither."""
    if isinstance(source, (str, os.PathLike)):
        source = stack.enter_context(open(source, "rb"))  # noqa: PTH123, SIM115
    read = getattr(source, "read", None)
    return None if read is None else iter(partial(_waiting(read), SIZE), _END)


class _End:
    """Equal to the last thing that a file gives, whether bytes or text."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return not other


_END: Any = _End()


def encoded(data: Iterable[Any], format: str) -> Iterator[bytes]:
    """Yield data as bytes in UTF-8, without a mark of that."""
    first = True
    for piece in data:
        if isinstance(piece, str):
            _refuse_binary(format)
            piece = piece.encode()
        if first and format != "binary":
            piece = bytes(piece).removeprefix(codecs.BOM_UTF8)
        first = False
        yield piece


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
