"""The first line of a file that is copied in: which fields its columns are."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import columns

_ESCAPES = {r"\t": "\t", r"\n": "\n", r"\r": "\r", r"\\": "\\"}


def read(pieces: Iterator[bytes], format: str) -> tuple[list[str], int, bytes]:
    """Return the names in a header, the lines it has, and what follows of its piece."""
    data = b""
    end = -1
    for piece in pieces:
        data += piece
        if (end := _end(data, format)) >= 0:
            break
    line, rest = (data, b"") if end < 0 else (data[: end + 1], data[end + 1 :])
    text = line.decode()
    if format == "csv":
        names = next(csv.reader(io.StringIO(text, newline="")), [])
    else:
        names = [_unescaped(name) for name in text.rstrip("\r\n").split("\t")]
    if not any(names):
        raise ValueError(
            "The file has no header: its first line is to name the columns."
        )
    return names, line.count(b"\n"), rest


def _end(data: bytes, format: str) -> int:
    """Return where the first record of a file ends, -1 if that is yet to come."""
    end = data.find(b"\n")
    while end >= 0 and format == "csv" and data.count(b'"', 0, end) % 2:
        end = data.find(b"\n", end + 1)
    return end


def _unescaped(name: str) -> str:
    for written, meant in _ESCAPES.items():
        name = name.replace(written, meant)
    return name


def fields(model: Any, names: Sequence[str], wanted: Any) -> list[Any]:
    """Return the fields that the names in a header stand for, as `wanted` says."""
    meant = wanted if isinstance(wanted, Mapping) else {}
    if unknown := [name for name in meant if name not in names]:
        raise ValueError(
            f"The header does not name {', '.join(unknown)}, but {', '.join(names)}."
        )
    found = columns.named(model, [meant.get(name, name) for name in names])
    if wanted is not None and wanted is not meant:
        expected = columns.named(model, wanted)
        if sorted(each.name for each in found) != sorted(
            each.name for each in expected
        ):
            raise ValueError(
                f"The header names {', '.join(names)}, not {', '.join(wanted)}."
            )
    return found
