"""Synchronous code in a block, for a test that is synchronous itself."""

import asyncio
from collections.abc import Callable
from typing import Any

from django_async_fast import new_connection, run_sync


def in_a_block(function: Callable[..., Any], *args: Any, using: str = "default") -> Any:
    """Return what `function` does in a block, on a loop of its own."""

    async def main() -> Any:
        async with new_connection(using):
            return await run_sync(function, *args)

    return asyncio.run(main())
