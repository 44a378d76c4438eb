"""Results of libpq with any columns and bytes, without a server."""

import ctypes

import psycopg

from django_async_fast import _native

TUPLES_OK = 2

libpq = ctypes.CDLL(_native._libpq_path(psycopg.pq.__impl__))
libpq.PQmakeEmptyPGresult.restype = ctypes.c_void_p
libpq.PQmakeEmptyPGresult.argtypes = [ctypes.c_void_p, ctypes.c_int]
libpq.PQsetResultAttrs.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
libpq.PQsetvalue.argtypes = [ctypes.c_void_p] + [ctypes.c_int] * 2
libpq.PQsetvalue.argtypes += [ctypes.c_char_p, ctypes.c_int]
libpq.PQclear.argtypes = [ctypes.c_void_p]


class Column(ctypes.Structure):
    """`PGresAttDesc`."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("tableid", ctypes.c_uint),
        *[(name, ctypes.c_int) for name in ("columnid", "format")],
        ("typid", ctypes.c_uint),
        *[(name, ctypes.c_int) for name in ("typlen", "atttypmod")],
    ]


def forged(*columns: tuple[int, bytes], format: int = 1) -> int:
    """Return the address of a result of one row; `libpq.PQclear` frees it."""
    described = [Column(b"x", format=format, typid=oid) for oid, _ in columns]
    address = libpq.PQmakeEmptyPGresult(None, TUPLES_OK)
    libpq.PQsetResultAttrs(address, len(columns), (Column * len(columns))(*described))
    for index, (_, data) in enumerate(columns):
        assert libpq.PQsetvalue(address, 0, index, data, len(data))
    return int(address)
