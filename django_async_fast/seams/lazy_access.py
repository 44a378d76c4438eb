"""Lazy access in a driven coroutine: it may wait there, and in debug mode is watched.

Django refuses queries where a loop is running. In a block, below a coroutine that
`bridge.drive()` runs, they wait on it instead.
"""

import asyncio
import logging
from asyncio import AbstractEventLoop
from types import FrameType

from django.db import models

from .. import bridge
from ..bridge import users_code
from ..connections.blocks import open_block
from . import refusals

logger = logging.getLogger("django_async_fast")

# From how many instances on it is told that a line loads a relation for each.
REPORT_FROM = 5

# Lines and relations that have been told.
_reported: set[tuple[users_code.Place, str]] = set()


def get_running_loop() -> AbstractEventLoop:
    """`asyncio.get_running_loop()` of Django's guard: none where a query may wait."""
    if bridge.can_wait() and open_block() is not None:
        raise RuntimeError("no loop runs that a query would hold up")
    return asyncio.get_running_loop()


def report_lazy_wait(frame: FrameType) -> None:
    """Tell, in debug mode, of a line that loads a relation instance by instance.

    `frame` is where a driven coroutine waits without awaiting. Each line is told once.
    """
    block = open_block()
    if block is None or not block.debug:
        return
    found = refusals.relation(frame)
    if found is None:
        return
    instance, name, how = found
    key = users_code.place(), name
    last, count = block.relations.get(key, (None, 0))
    if last == id(instance):  # its second wait
        return
    block.relations[key] = id(instance), count + 1
    if count + 1 < REPORT_FROM or key in _reported:
        return
    _reported.add(key)
    peers = " or `.fetch_mode(models.FETCH_PEERS)`" * hasattr(models, "FETCH_PEERS")
    logger.warning(
        "%s loads %s with a query for each instance, %d so far. Load all with the "
        "query before: `.%s(%r)`%s.",
        users_code.describe(key[0]),
        name,
        count + 1,
        how,
        name.rpartition(".")[2],
        peers,
    )


bridge.waiting.on_lazy_wait = report_lazy_wait
