"""Whether a statement with arrays may be sent, and from where."""

from _thread import get_ident
from typing import Any

from ...connections import block_threads
from ...drivers.psycopg import statement, type_loaders
from .columns import DUMPED

# The most bytes of a message to the server, which closes the connection after more.
_LONGEST = 0x3FFF_0000


def unobserved(wrapper: Any) -> Any:
    """Return the open psycopg connection if arrays may be sent on it, else None.

    That is where nobody sees the statement on its way, nor dumps its values otherwise.
    """
    if wrapper._thread_ident != get_ident() and block_threads.in_block_thread():
        return None  # its cursor is one of the loop's
    raw = statement.unobserved(wrapper)
    if (
        raw is None
        or not type_loaders.is_utf8(raw.pgconn)
        or not statement.dumps_as_psycopg(raw, DUMPED)
    ):
        return None
    return raw


def can_be_sent(params: list[Any]) -> bool:
    """Tell whether there are arrays, not too long for one statement."""
    arrays = [len(each.data) for each in params if type(each) is statement.Array]
    return 0 < sum(arrays) < _LONGEST
