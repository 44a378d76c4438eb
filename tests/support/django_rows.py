"""Django's own iterables in the place of ours, for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db.models.query import RawModelIterable

from django_async_fast.querysets import iterables


@contextmanager
def djangos_rows() -> Iterator[None]:
    """Have Django's iterables build the rows."""
    ours = {kind: kind.__iter__ for kind in (*iterables.PLANS, RawModelIterable)}
    for kind, our_iter in ours.items():
        kind.__iter__ = getattr(our_iter, "__wrapped__", our_iter)
    try:
        yield
    finally:
        for kind, our_iter in ours.items():
            kind.__iter__ = our_iter
