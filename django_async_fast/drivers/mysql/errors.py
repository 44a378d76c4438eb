"""The server's errors as MySQLdb raises them: Django knows no other classes."""

from __future__ import annotations

from typing import Any

import MySQLdb
from asyncmy.errors import MySQLError

# The connection is gone with these: what the client finds, and what the server says.
LOST = frozenset({2006, 2013, 2055, 1053, 1927, 4031})

_PROGRAMMING = (
    *(1007, 1064, 1102, 1103, 1110, 1111, 1112, 1113, 1146, 1149, 1179, 2014),
)
_DATA = 1171, 1230, 1264, 1265, 1406, 1441
_INTEGRITY = 1048, 1062, 1169, 1215, 1216, 1217, 1364, 1451, 1452
_NOT_SUPPORTED = 1196, 1235, 1286, 1289

_CLASSES: dict[int, Any] = {
    0: MySQLdb.InterfaceError,
    **dict.fromkeys(_PROGRAMMING, MySQLdb.ProgrammingError),
    **dict.fromkeys(_DATA, MySQLdb.DataError),
    **dict.fromkeys(_INTEGRITY, MySQLdb.IntegrityError),
    **dict.fromkeys(_NOT_SUPPORTED, MySQLdb.NotSupportedError),
}


def mysqldbs(error: MySQLError) -> Any:
    """Return the exception that mysqlclient raises for what asyncmy has raised."""
    code, *rest = error.args or (0,)
    if not isinstance(code, int):
        return MySQLdb.InternalError(*error.args)
    usual = MySQLdb.InternalError if code < 1000 else MySQLdb.OperationalError
    return _CLASSES.get(code, usual)(code, *rest)


def is_servers(error: BaseException) -> bool:
    """Tell whether the server has sent it, and goes on with the connection."""
    # asyncmy's own have no state.
    return (
        isinstance(error, MySQLError)
        and error.sqlstate is not None
        and error.args[0] not in LOST
    )
