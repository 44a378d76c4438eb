"""What is refused: an ignored error that is none is an error itself."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from django_async_fast import (
    achunks,
    afetch_related,
    alist,
    blocking,
    new_connection,
    run,
    run_sync,
    transaction,
)
from django_async_fast.transaction import atomic

from .models import Author


def measured(length: int) -> int:
    return length


async def wrong() -> None:
    await alist([1, 2])  # type: ignore[arg-type]
    achunks(Author.objects.all())  # type: ignore[call-arg]
    await run_sync(measured, "three")  # type: ignore[arg-type]
    await run_sync(measured, width=3)  # type: ignore[call-arg]
    await afetch_related(3, "books")  # type: ignore[type-var]
    run(measured(3))  # type: ignore[arg-type]
    transaction.atomic(read_only="yes")  # type: ignore[call-overload]
    transaction.atomik()  # type: ignore[attr-defined]
    atomic(isolation="serializable")  # type: ignore[call-overload]
    with new_connection():  # type: ignore[attr-defined]
        pass
    async with new_connection() as conn:
        conn.akursor()  # type: ignore[attr-defined]
        await conn.acursor().fetchone(3)  # type: ignore[call-arg]


@new_connection()  # type: ignore[type-var]
def synchronous() -> int:
    return 1


blocking("stripe.Charge.create")  # type: ignore[type-var]
