"""An idle connection of psycopg's pool, taken and given back without the loop.

`getconn()` and `putconn()` are coroutines, for they may have to wait. With a
connection idle, nothing to check and nobody in line they do not, and a task and
a dozen coroutines were half of what a block costs. The core does what they do
then (`native/idle_connections.pxi`), in the releases that it was read in; everything
else is left to them. Who finds nothing idle waits in `pool/waiting_line.py`.

In: psycopg's pool.
Out: an idle connection of it, or None where one has to wait.
Next: `drivers/psycopg/statement.py`.
"""

import logging
from collections.abc import Callable
from typing import Any

import psycopg_pool

from .. import _native
from ..drivers.psycopg.session import Session
from .waiting_client import WaitingClient

Pool = psycopg_pool.AsyncConnectionPool[Session]

# In others, and without the core, all of it is psycopg's to do.
KNOWN_RELEASE = psycopg_pool.__version__.startswith("3.3.")

_idle: Any = _native.COMPILED and _native.rows.IdleConnections(
    names=globals(), logger=logging.getLogger("psycopg.pool"), client=WaitingClient
)
take: Callable[[Pool], Session | None] = _idle.take if _idle else lambda pool: None
give: Callable[[Pool, Session], bool] = _idle.give if _idle else lambda *given: False
is_quiet: Callable[[Pool], bool] = _idle.is_quiet if _idle else lambda pool: False
