"""Django's own functions in the places of ours, to compare with: of some seams, or of all."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django_async_fast import install, uninstall


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


@contextmanager
def stock() -> Iterator[None]:
    """Have stock Django: no block may be open."""
    uninstall()
    try:
        yield
    finally:
        install()
