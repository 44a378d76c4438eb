"""What people write around querysets in coroutines, as one call each."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from typing import TypeVar

from django.db.models import Model, QuerySet, prefetch_related_objects

from ..connections.dispatch import run_sync
from .iterables import take

T = TypeVar("T")
Instances = TypeVar("Instances", bound="Model | Iterable[Model]")


async def afetch_related(instances: Instances, *lookups: str) -> Instances:
    """Load relations, `"author__publisher"`, that are not loaded yet.

    `instances` is a model instance or a list of them, and is returned. One
    query per level and lookup, as `prefetch_related()` does.
    """
    batch = [instances] if isinstance(instances, Model) else list(instances)
    await run_sync(prefetch_related_objects, batch, *lookups)
    return instances


async def alist(iterable: AsyncIterable[T]) -> list[T]:
    """Return all items of an async iterable; a queryset is fetched in one call."""
    if isinstance(iterable, QuerySet):
        return await run_sync(list, iterable)
    return [item async for item in iterable]


async def achunks(iterable: AsyncIterable[T], size: int) -> AsyncGenerator[list[T]]:
    """Yield the items of an async iterable in lists of `size`, the last shorter.

    A queryset is streamed as `aiterator(size)` does, `prefetch_related()`
    included, with no more than a chunk in memory.
    """
    if size <= 0:
        raise ValueError(f"size must be positive, not {size}")
    if isinstance(iterable, QuerySet):
        rows = iterable.iterator(chunk_size=size)
        try:
            while chunk := await run_sync(take, rows, size):
                yield chunk
        finally:
            await run_sync(rows.close)
        return
    chunk = []
    async for item in iterable:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
