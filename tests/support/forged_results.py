"""Results of libpq that no server has sent."""

import ctypes
from functools import cache
from typing import Any

from psycopg import pq
from psycopg.pq.misc import PGresAttDesc

from django_async_fast import _native


def libpq_path() -> str:
    """Return the path of the libpq that psycopg has loaded."""
    return _native._libpq_path(pq.__impl__)


def forged(*columns: tuple[int, bytes | None], format: int = pq.Format.BINARY) -> Any:
    """Return a result of one row: the OID and the bytes of each column."""
    nowhere, set_value = _libpq()
    result = nowhere.make_empty_result(pq.ExecStatus.TUPLES_OK)
    result.set_attributes(
        [PGresAttDesc(b"x", 0, 0, format, oid, -1, -1) for oid, _ in columns]
    )
    for index, (_, data) in enumerate(columns):
        length = -1 if data is None else len(data)
        assert set_value(result.pgresult_ptr, 0, index, data, length) == 1
    return result


@cache
def _libpq() -> Any:
    set_value = ctypes.CDLL(libpq_path()).PQsetvalue
    set_value.argtypes = [ctypes.c_void_p, *[ctypes.c_int] * 2]
    set_value.argtypes += [ctypes.c_char_p, ctypes.c_int]
    return pq.PGconn.connect_start(b"host=/nowhere"), set_value
