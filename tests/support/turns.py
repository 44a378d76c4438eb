"""What several tasks do on one connection, whose transactions must not mix."""

from __future__ import annotations

import asyncio

from django_async_fast import transaction
from tests.testapp.models import Tag


async def add_two(using: str, number: int) -> None:
    """Add two tags in a transaction; roll it back if `number` is odd."""
    tags = Tag.objects.using(using)
    async with transaction.atomic(using=using):
        await tags.acreate(name=f"{number}-1")
        await asyncio.sleep(0)
        assert await tags.filter(name__startswith=f"{number}-").acount() == 1
        await tags.acreate(name=f"{number}-2")
        if number % 2:
            transaction.set_rollback(True, using=using)
