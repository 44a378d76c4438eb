"""A block that the blocks of the code under test join."""

from typing import Any

from asgiref.sync import SyncToAsync, sync_to_async
from django.db import connections

from .. import bridge
from ..bridge import users_code
from ..connections.blocks import Block, new_connection, shared_block
from ..connections.wrapper import BlockWrapper

asgiref_call = SyncToAsync.__call__
_sharing = 0


class shared_connection(new_connection):
    """A `new_connection()` that every block inside of it joins.

    Code under test that opens a block of its own then works on the test's
    connections, and so does synchronous code that it sends to a thread with
    `sync_to_async()`: that runs on the event loop.
    """

    def _make_block(self, where: users_code.Place) -> Block:
        return Block(self.force_rollback, where, shared=True)

    async def __aenter__(self) -> BlockWrapper:
        conn = await super().__aenter__()
        _share(+1)
        return conn

    async def __aexit__(self, *exc: object) -> None:
        _share(-1)
        await super().__aexit__(*exc)


async def close_threads_connections() -> None:
    """Close what `sync_to_async()` has opened: it would be in the way of a flush."""
    await sync_to_async(connections.close_all)()


def _share(change: int) -> None:
    global _sharing
    _sharing += change
    SyncToAsync.__call__ = (  # type: ignore[method-assign]
        _sync_to_async_call if _sharing else asgiref_call
    )


async def _sync_to_async_call(
    self: SyncToAsync[Any, Any], *args: Any, **kwargs: Any
) -> Any:
    if self._thread_sensitive and shared_block() is not None:
        return await bridge.run(self.func, *args, **kwargs)
    return await asgiref_call(self, *args, **kwargs)
