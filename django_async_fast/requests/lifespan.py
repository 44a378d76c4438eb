"""ASGI's lifespan, which Django does not serve: pools live as long as the server."""

from collections.abc import Awaitable, Callable
from typing import Any

from django.db import connections

from .. import bridge
from ..connections.blocks import new_connection

Application = Callable[[Any, Any, Any], Awaitable[Any]]


def lifespan(application: Application) -> Application:
    """Return `application`, with pools that open and close with the server.

    Without it they open at the first query and close with the event loop. A
    database that cannot be reached ends the start.
    """

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await serve(receive, send)
        else:
            await application(scope, receive, send)

    return inner


async def serve(receive: Any, send: Any) -> None:
    """Answer the server's lifespan messages, with pools that open and close."""
    while (await receive())["type"] == "lifespan.startup":
        try:
            await open_pools()
        except Exception as exc:
            message = f"{type(exc).__name__}: {exc}"
            await send({"type": "lifespan.startup.failed", "message": message})
            raise
        await send({"type": "lifespan.startup.complete"})
    await close_pools()
    await send({"type": "lifespan.shutdown.complete"})


async def open_pools() -> None:
    """Open the pool of every alias that has one, on the running loop."""
    for alias in _pooled():
        async with new_connection(alias) as conn:
            await conn.aensure_connection()


async def close_pools() -> None:
    """Close the pools of the running loop; blocks in progress keep theirs."""
    for alias in _pooled():
        async with new_connection(alias) as conn:
            await bridge.run(conn.close_pool)


def _pooled() -> list[str]:
    settings = connections.settings
    return [alias for alias in settings if settings[alias]["OPTIONS"].get("pool")]
