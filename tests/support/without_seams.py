"""Django's own functions in the places of ours, to compare with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without(seams: Iterable[tuple[Any, str, Any]]) -> Iterator[None]:
    """Have Django's own run: of each owner, by its name, what ours stands before."""
    seams = list(seams)
    for owner, name, ours in seams:
        setattr(owner, name, ours.__wrapped__)
    try:
        yield
    finally:
        for owner, name, ours in seams:
            setattr(owner, name, ours)
