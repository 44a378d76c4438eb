"""`atomic()` with the transaction's isolation level, read only, or deferrable.

psycopg puts them into the BEGIN that it sends with the first statement, so they
cost no round trip. They are attributes of its connection, which get their
values back at the end of the transaction.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, TypeVar, overload

from django.core.exceptions import ImproperlyConfigured
from django.db import NotSupportedError, transaction
from django.db.transaction import Atomic, TransactionManagementError
from psycopg import IsolationLevel

from ..drivers.psycopg.transaction_status import IDLE

Function = TypeVar("Function", bound=Callable[..., Any])


def _chosen(isolation_level: Any, read_only: Any, deferrable: Any) -> dict[str, Any]:
    """Return psycopg's attributes for the arguments that are not None."""
    wanted = {
        "isolation_level": _level(isolation_level),
        "read_only": read_only,
        "deferrable": deferrable,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _level(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, str):
        return IsolationLevel(value)
    try:
        return IsolationLevel[value.upper().replace(" ", "_")]
    except KeyError:
        names = (level.name.lower().replace("_", " ") for level in IsolationLevel)
        raise ValueError(
            f"{value!r} is no isolation level; PostgreSQL has: {', '.join(names)}."
        ) from None


def begin(connection: Any, wanted: dict[str, Any]) -> None:
    """Set the characteristics of the transaction that is about to begin.

    In the transaction of a test they cannot be set, and are left out.
    """
    if connection.vendor != "postgresql":
        raise NotSupportedError(
            f"atomic({', '.join(wanted)}) needs PostgreSQL; '{connection.alias}' is "
            f"{connection.display_name}."
        )
    connection.ensure_connection()
    if in_test(connection):
        return
    if connection.in_atomic_block or not connection.get_autocommit():
        raise TransactionManagementError(
            f"atomic({', '.join(wanted)}) must be the outermost atomic block: a "
            f"transaction on '{connection.alias}' has begun already, and keeps its "
            "characteristics."
        )
    raw = connection.connection
    connection.daf_before = raw, {name: getattr(raw, name) for name in wanted}
    _set(raw, wanted)


def begun(connection: Any, wanted: dict[str, Any]) -> None:
    """In a test, make the savepoint that has begun read only at least."""
    if not wanted.get("read_only") or not in_test(connection, but=1):
        return
    if connection.savepoint_ids[-1] is not None:
        connection.connection.execute("SET TRANSACTION READ ONLY")


def end(connection: Any) -> None:
    """Give the connection's attributes their values back."""
    raw, before = connection.__dict__.pop("daf_before", (None, {}))
    if raw is None or raw is not connection.connection or raw.closed:
        return
    if raw.pgconn.transaction_status == IDLE:
        _set(raw, before)
    else:
        raw.close()


def in_test(connection: Any, but: int = 0) -> bool:
    """Tell whether all atomic blocks, the `but` innermost excepted, are a test's."""
    blocks: list[Atomic] = connection.atomic_blocks
    around = blocks[: len(blocks) - but]
    return bool(around) and all(block._from_testcase for block in around)


def _set(raw: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(raw, name, value)


# ----- atomic()


class AsyncAtomic(Protocol):
    """What `atomic()` returns: Django's `Atomic`, for `async with` as well."""

    def __enter__(self) -> None:
        """Begin a transaction or a savepoint."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Commit it, or roll it back after an exception."""

    async def __aenter__(self) -> None:
        """Begin a transaction or a savepoint."""

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Commit it, or roll it back after an exception."""

    def __call__(self, func: Function, /) -> Function:
        """Return `func`, a function or an `async def`, in a transaction each time."""
        ...


class _Atomic(Atomic):
    """Django's `Atomic`, for a transaction with characteristics of its own."""

    def __init__(
        self, using: str | None, savepoint: bool, durable: bool, wanted: dict[str, Any]
    ) -> None:
        super().__init__(using, savepoint, durable)
        self.characteristics = wanted


@overload
def atomic(using: Function, /) -> Function: ...
@overload
def atomic(
    using: str | None = None,
    savepoint: bool = True,
    durable: bool = False,
    *,
    isolation_level: IsolationLevel | str | None = None,
    read_only: bool | None = None,
    deferrable: bool | None = None,
) -> AsyncAtomic: ...
def atomic(
    using: Any = None,
    savepoint: bool = True,
    durable: bool = False,
    *,
    isolation_level: IsolationLevel | str | None = None,
    read_only: bool | None = None,
    deferrable: bool | None = None,
) -> Any:
    """Django's `transaction.atomic`, with the characteristics of the transaction.

    `isolation_level` is a `psycopg.IsolationLevel` or its name, "repeatable
    read"; see PostgreSQL's SET TRANSACTION. Raises TransactionManagementError
    where a transaction has begun already. In the transaction of a test only
    `read_only=True` has an effect.
    """
    wanted = _chosen(isolation_level, read_only, deferrable)
    if not wanted:
        return transaction.atomic(using, savepoint, durable)
    if not hasattr(Atomic, "__aenter__"):
        raise ImproperlyConfigured(
            f"atomic({', '.join(wanted)}) needs 'django_async_fast' in INSTALLED_APPS."
        )
    return _Atomic(using, savepoint, durable, wanted)
