"""What a statement does to the connection that runs it, by its first word.

It decides whether the statement may wait for a lock, whether it may be ended half-way,
and whether the session is afterwards as new.
"""

import re
from enum import Enum


class StatementKind(Enum):
    """What is to be known of a statement before it runs."""

    READ = "reads"
    WRITE = "locks the file to write"
    BEGIN = "begins a transaction and locks the file"
    DEFERRED = "begins a transaction, without a lock"
    COMMIT = "ends a transaction"
    INSIDE = "begins or ends a savepoint, or undoes a transaction"
    GOES_ON = "goes on with what has begun"
    OTHER = "may change the session"


# Most statements are known by so many characters.
_BEGINNINGS = {
    "SELECT": StatementKind.READ,
    "VALUES": StatementKind.READ,
    "INSERT": StatementKind.WRITE,
    "UPDATE": StatementKind.WRITE,
    "DELETE": StatementKind.WRITE,
    "REPLAC": StatementKind.WRITE,
    "BEGIN": StatementKind.DEFERRED,
    "COMMIT": StatementKind.COMMIT,
    "END": StatementKind.COMMIT,
    "SAVEPO": StatementKind.INSIDE,
    "RELEAS": StatementKind.INSIDE,
    "ROLLBA": StatementKind.INSIDE,
}

_BEFORE = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
_WORD = re.compile(r"\w+")
_LOCKS = re.compile(r"BEGIN\s+(?:IMMEDIATE|EXCLUSIVE)\b", re.IGNORECASE)
_WRITES = re.compile(r"\b(?:INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)
# Not of tables that only this connection has: they would be there in the next block.
_SCHEMA = re.compile(
    r"(?:ALTER|ANALYZE|DROP|REINDEX|CREATE\b(?!\s+(?:TEMP|TEMPORARY)))\b", re.IGNORECASE
)
_BUSY_TIMEOUT = re.compile(
    r"\s*PRAGMA\s+(?:\w+\.)?busy_timeout\s*(?:[=(]\s*(-?\d+)\s*\)?)?\s*;?\s*$",
    re.IGNORECASE,
)


def kind_of(sql: str) -> StatementKind:
    """Return what `sql` does."""
    return _BEGINNINGS.get(sql[:6]) or _looked_at(sql)


def _looked_at(sql: str) -> StatementKind:
    before = _BEFORE.match(sql)
    text = sql[before.end() :] if before else sql
    found = _WORD.match(text)
    word = found.group().upper() if found else ""
    if word == "BEGIN":
        return StatementKind.BEGIN if _LOCKS.match(text) else StatementKind.DEFERRED
    if word == "WITH":
        return StatementKind.WRITE if _WRITES.search(text) else StatementKind.READ
    if _SCHEMA.match(text):
        return StatementKind.WRITE
    return _BEGINNINGS.get(word[:6], StatementKind.OTHER)


def takes_lock(kind: StatementKind, sql: str) -> bool:
    """Tell whether the statement leaves its transaction with a lock on the file."""
    if kind is StatementKind.READ:
        return "FROM" in sql.upper()
    return kind is StatementKind.WRITE or kind is StatementKind.BEGIN


def busy_timeout(sql: str) -> str | None:
    """Return the milliseconds that a PRAGMA sets, '' where it asks; None for others."""
    found = _BUSY_TIMEOUT.match(sql)
    return None if found is None else found[1] or ""
