"""Django's own iterables in the place of ours, for a while."""

from contextlib import AbstractContextManager

from django.db.models.query import RawModelIterable

from django_async_fast.querysets import iterables

from .without_seams import without


def djangos_rows() -> AbstractContextManager[None]:
    """Have Django's iterables build the rows."""
    kinds: tuple[type, ...] = (*iterables.PLANS, RawModelIterable)
    ours = [(kind, "__iter__", vars(kind)["__iter__"]) for kind in kinds]
    return without(each for each in ours if hasattr(each[2], "__wrapped__"))
