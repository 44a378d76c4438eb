"""What `connections[alias]` means: in a block, and in its threads, the block's."""

import os
from typing import Any

from django.db.utils import ConnectionHandler

from .. import bridge
from . import block_threads, lazy_wrapper
from .block_protocol import Block
from .blocks import current_block, entered_block
from .forked_process import leave_blocks

os.register_at_fork(after_in_child=leave_blocks)

django_create_connection = ConnectionHandler.create_connection


def bridged_block() -> Block | None:
    """Return the block whose connections the caller's sync code uses, or None."""
    block = entered_block.get()
    if block is None or not block.open:
        # In a context of its own: `Context().run()`, or one of another block.
        block = bridge.get_in_call_context(entered_block) or block
    return block if block is not None and bridge.serves(block.loop) else None


def routed_block() -> Block | None:
    """Return the block whose connections Django's code has here, or None.

    Raises InterfaceError in a task that outlived its block.
    """
    if (
        entered_block.get() is None
        and bridge.get_in_call_context(entered_block) is None
    ):
        return None
    return bridged_block() if bridge.in_bridge() else current_block()


def create_connection(self: ConnectionHandler, alias: str) -> Any:
    """`ConnectionHandler.create_connection`: in a block, one of the block's."""
    block: Block | None = routed_block()
    if block is None and (block := block_threads.block_of_thread()) is not None:
        return block_threads.wrapper(block, alias)
    if block is None:
        return django_create_connection(self, alias)
    return lazy_wrapper.make(block, self.settings[alias], alias)


class ConnectionStorage:
    """Stands in for the storage behind `django.db.connections`."""

    def __init__(self, storage: Any) -> None:
        object.__setattr__(self, "storage", storage)

    def __getattr__(self, alias: str) -> Any:
        block: Block | None = entered_block.get()
        # Django asks several times a request: what it finds then, without a call.
        if block is None or not (block.open and bridge.serves(block.loop)):
            block = routed_block()
        if block is not None:
            try:
                return block.wrappers[alias]
            except KeyError:
                raise AttributeError(alias) from None
        block = block_threads.block_of_thread()
        if block is None:
            return getattr(object.__getattribute__(self, "storage"), alias)
        if alias not in block.wrappers:
            raise AttributeError(alias)
        return block_threads.wrapper(block, alias)

    def __setattr__(self, alias: str, value: Any) -> None:
        block = routed_block() or block_threads.block_of_thread()
        if block is None:
            setattr(object.__getattribute__(self, "storage"), alias, value)
        elif block.wrappers.get(alias) is not value:
            block.replace_wrapper(alias, value)

    def __delattr__(self, alias: str) -> None:
        block = routed_block() or block_threads.block_of_thread()
        if block is None:
            delattr(object.__getattribute__(self, "storage"), alias)
            return
        if alias not in block.wrappers:
            raise AttributeError(alias)
        block.replace_wrapper(alias)
