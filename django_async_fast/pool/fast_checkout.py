"""An idle connection of psycopg's pool, taken and given back without the loop.

`getconn()` and `putconn()` are coroutines, for they may have to wait. With a
connection idle, nothing to check and nobody in line they do not, and a task and
a dozen coroutines were half of what a block costs. This is what they do then,
in the releases that it was read in; everything else is left to them. Who finds
nothing idle waits in `pool/waiting_line.py`.

In: psycopg's pool.
Out: an idle connection of it, or None where one has to wait.
Next: `drivers/psycopg/statement.py`.
"""

from __future__ import annotations

import logging
from collections import deque
from time import monotonic
from typing import Any

import psycopg_pool

from ..drivers.psycopg.session import Session
from ..drivers.psycopg.transaction_status import IDLE
from .waiting_client import WaitingClient

Pool = psycopg_pool.AsyncConnectionPool[Session]

KNOWN_RELEASE = psycopg_pool.__version__.startswith("3.3.")

_logger = logging.getLogger("psycopg.pool")


def take(pool: Pool) -> Session | None:
    """Return a connection as `pool.getconn()` does, or None where that may wait."""
    if not pool._pool or pool._check or not is_quiet(pool):
        return None
    session = pool._pool.popleft()
    pool._nconns_min = min(pool._nconns_min, len(pool._pool))
    pool._stats[pool._REQUESTS_NUM] += 1
    session._pool = pool
    return session


def give(pool: Pool, session: Session) -> bool:
    """Take `session` back as `pool.putconn()` does; False where that may wait.

    The first in line gets it at once, unless that is psycopg's own client.
    """
    if not is_quiet(pool) or pool._reset or pool._pool_full_event:
        return False
    if session.pgconn.transaction_status != IDLE or session._pool is not pool:
        return False
    if session._created_at <= pool._drained_at or session._expire_at <= monotonic():
        return False
    waiting: deque[Any] = pool._waiting
    while waiting:
        if type(waiting[0]) is not WaitingClient:
            return False
        if waiting.popleft().serve(session):
            break
    else:
        pool._pool.append(session)
    session._pool = None
    return True


def is_quiet(pool: Pool) -> bool:
    """Tell whether nobody is in the middle of something, and nobody listens."""
    return (
        KNOWN_RELEASE
        and not pool._closed
        and not pool._lock.locked()
        and not _logger.isEnabledFor(logging.INFO)
    )
