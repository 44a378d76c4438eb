"""Names that nobody else gives on a server, in this process or another.

Behind a pooler in transaction mode a statement may reach a session that another task
or process has used. What it names there must be its own, or missing. Savepoints need no
more than Django's names: they end with their transaction, which keeps its session.
"""

import os
from itertools import count
from secrets import randbits

# The beginning of the names that Django gives to server-side cursors.
DJANGOS = "_django_curs_"

_numbers = count(1)
_process = randbits(64)


def _forked() -> None:
    # Else the child would go on with the parent's names.
    global _process
    _process = randbits(64)


os.register_at_fork(after_in_child=_forked)


def cursor() -> str:
    """Return a new name for a server-side cursor."""
    return f"{DJANGOS}{_process}_{next(_numbers)}"


def first_prepared() -> int:
    """Return the number of a session's first prepared statement, for psycopg's names.

    psycopg counts from 0 in each session; so far apart no two meet.
    """
    return randbits(60)
