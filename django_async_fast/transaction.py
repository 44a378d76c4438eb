"""`django.db.transaction` as coroutines use it, for type checkers as well.

`atomic()` also takes the characteristics of the transaction.
"""

from django.db.transaction import (
    Atomic,
    TransactionManagementError,
    clean_savepoints,
    commit,
    get_autocommit,
    get_connection,
    get_rollback,
    mark_for_rollback_on_error,
    non_atomic_requests,
    on_commit,
    rollback,
    savepoint,
    savepoint_commit,
    savepoint_rollback,
    set_autocommit,
    set_rollback,
)

from .transactions.functions import (
    ADDED,
    aclean_savepoints,
    acommit,
    aget_autocommit,
    aget_rollback,
    amark_for_rollback_on_error,
    arollback,
    asavepoint,
    asavepoint_commit,
    asavepoint_rollback,
    aset_autocommit,
    aset_rollback,
    savepoint_create,
)
from .transactions.isolation import AsyncAtomic, atomic

__all__ = [
    "ADDED",
    "AsyncAtomic",
    "Atomic",
    "TransactionManagementError",
    "aclean_savepoints",
    "acommit",
    "aget_autocommit",
    "aget_rollback",
    "amark_for_rollback_on_error",
    "arollback",
    "asavepoint",
    "asavepoint_commit",
    "asavepoint_rollback",
    "aset_autocommit",
    "aset_rollback",
    "atomic",
    "clean_savepoints",
    "commit",
    "get_autocommit",
    "get_connection",
    "get_rollback",
    "mark_for_rollback_on_error",
    "non_atomic_requests",
    "on_commit",
    "rollback",
    "savepoint",
    "savepoint_commit",
    "savepoint_create",
    "savepoint_rollback",
    "set_autocommit",
    "set_rollback",
]
