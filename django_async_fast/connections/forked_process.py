"""A process that is forked inside of a block is in none.

Its code goes on where the loop of its parent never runs again: what waited for that
would wait for ever. It opens connections of Django's own, as after a fork in stock
Django where the parent has closed its own: in a block that closes the block's.
"""

from typing import Any

from django.db import connections
from greenlet import getcurrent

from ..bridge.workers import Worker
from . import block_threads
from .blocks import entered_block

# Wrappers of the parent's thread. Some drivers tell the server when one is freed.
_of_parent: list[Any] = []


def leave_blocks() -> None:
    """Leave what the caller is in, in the child process that has just begun."""
    worker = getcurrent()
    if type(worker) is Worker:
        # Nobody drives it in here.
        worker.abandoned = True
        worker.call_context = None
    elif entered_block.get() is None and not block_threads.in_block_thread():
        return
    entered_block.set(None)
    block_threads.forget()
    for wrapper in connections.all(initialized_only=True):
        _of_parent.append(wrapper)
        del connections[wrapper.alias]
