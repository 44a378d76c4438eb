"""What a connection is to be opened with, as MySQLdb is told and as asyncmy is.

asyncmy is used where it does the same. With an option that it does not know, or
understands otherwise, a connection is MySQLdb's, in a thread.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import MySQLdb
from MySQLdb.constants import CLIENT
from MySQLdb.cursors import Cursor

from .values import Failures, decoders

# Seconds; asyncmy cannot be told to wait for ever, which MySQLdb does.
_LONG = 31536000

_SAME = "client_flag", "connect_timeout", "host", "port", "unix_socket", "user"
_OURS = (
    *("autocommit", "binary_prefix", "charset", "collation", "conv", "cursorclass"),
    *("database", "db", "init_command", "passwd", "password", "sql_mode"),
    *("ssl", "ssl_mode"),
)
# These have the effect that is asyncmy's with one value only.
_FIXED = {"local_infile": False, "multi_statements": True, "use_unicode": True}
_KNOWN = frozenset({*_SAME, *_OURS, *_FIXED})

# Other texts are to be escaped as only MySQL's library does.
_CHARSETS = "utf8", "utf8mb3", "utf8mb4"
_MODES = "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"
_FILES = frozenset({"ca", "capath", "cert", "cipher", "key"})


class Options(NamedTuple):
    """What a connection is opened with."""

    # asyncmy's arguments.
    driver: dict[str, Any]
    # MySQLdb's.
    given: Mapping[str, Any]
    # What goes wrong in converters.
    failures: Failures


def options(given: Mapping[str, Any]) -> Options | None:
    """Return asyncmy's arguments in the place of MySQLdb's; None where it has none."""
    if not _known(given):
        return None
    tls = _tls(given)
    failures = Failures()
    conv = decoders(given.get("conv", {}), failures)
    if tls is None or not conv:
        return None
    password = given.get("password", given.get("passwd")) or ""
    if isinstance(password, str):
        password = password.encode()
    driver = {name: given[name] for name in _SAME if name in given}
    driver |= {
        "database": given.get("database") or given.get("db") or None,
        "password": password,
        "charset": given.get("charset") or "",
        "conv": conv,
        "autocommit": None,
        "connect_timeout": given.get("connect_timeout") or _LONG,
        "ssl": tls or None,
    }
    return Options(driver, given, failures)


def _known(given: Mapping[str, Any]) -> bool:
    flags = given.get("client_flag", 0)
    return (
        given.keys() <= _KNOWN
        and all(given.get(name, value) == value for name, value in _FIXED.items())
        and given.get("charset") in _CHARSETS
        and given.get("cursorclass", Cursor) is Cursor
        and not flags & (CLIENT.COMPRESS | CLIENT.LOCAL_FILES | CLIENT.SSL)
    )


def _tls(given: Mapping[str, Any]) -> Any:
    """Return a TLS context, False for none; None where that is not asyncmy's to say."""
    files, mode = given.get("ssl"), given.get("ssl_mode")
    if given.get("unix_socket"):
        return None if files or mode not in (None, "DISABLED", "PREFERRED") else False
    if given.get("host") in (None, "", "localhost"):
        # MySQL's library takes that for a socket, whose path it knows.
        return None
    if mode == "DISABLED":
        return False
    if files is True:
        files, mode = None, mode or "REQUIRED"
    if not files and mode is None:
        # Others have TLS where the server has it.
        return False if _library() < (3, 4) else None
    if mode not in (None, *_MODES) or not (files or {}).keys() <= _FILES:
        return None
    if mode is None and (3, 4) <= _library() < (4,):
        return None  # MariaDB's newer ones look at certificates in a way of their own
    return _context(mode, **(files or {}))


@lru_cache(maxsize=1)
def _library() -> tuple[int, ...]:
    """Return the version of the library: MariaDB's are 3, MySQL's more."""
    first = MySQLdb.get_client_info().split(".")[:2]
    return tuple(int(each) for each in first)


@lru_cache(maxsize=100)
def _context(
    mode: str | None,
    ca: str | None = None,
    capath: str | None = None,
    cert: str | None = None,
    key: str | None = None,
    cipher: str | None = None,
) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca, capath=capath)
    verified = bool(ca or capath or mode in ("VERIFY_CA", "VERIFY_IDENTITY"))
    # Python since 3.13 asks of certificates what servers' own do not have.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = mode == "VERIFY_IDENTITY"
    context.verify_mode = ssl.CERT_REQUIRED if verified else ssl.CERT_NONE
    if cert:
        context.load_cert_chain(cert, keyfile=key)
    if cipher:
        context.set_ciphers(cipher)
    return context
