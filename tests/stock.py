"""Django's own iterables in the place of ours, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db.models.query import RawModelIterable

from django_async_fast import iterables, raws


@contextmanager
def djangos_rows() -> Iterator[None]:
    """Have Django's iterables build the rows."""
    djangos = {**iterables.DJANGO_ITER, RawModelIterable: raws.django_iter}
    ours = {kind: kind.__iter__ for kind in djangos}
    for kind, stock in djangos.items():
        kind.__iter__ = stock
    try:
        yield
    finally:
        for kind, our_iter in ours.items():
            kind.__iter__ = our_iter
