"""django-pgtrigger: its execute_wrappers put a statement in front of every other.

`ignore()` and `schema()` set something for the transaction of one statement, and read
on to the last result.
"""

from typing import Any

from tests.beside import library
from tests.beside.tools.pghistory import History


async def program(do: Any) -> None:
    import pgtrigger

    from tests.beside.history.models import Account

    await do(Account.objects, "create", owner="seen")
    async with do.within(pgtrigger.ignore):
        account = await do(Account.objects, "create", owner="not seen")
        await do(account, "save")
        await do(Account.objects, "create", owner="seen")  # there is one
        await library.program(do)
    await do(account, "save")
    async with do.within(pgtrigger.schema, "pg_catalog", "public"):
        await library.reading(do)
        await do(Account.objects.order_by("pk"), "iterate")
        async with do.within(pgtrigger.ignore, "history.Account:update_update"):
            await do(account, "save")
            await do(account, "refresh_from_db")
            await do(account, "delete")


class Trigger(History):
    """What the triggers wrote although some were to be ignored."""

    package = "pgtrigger"
    program = staticmethod(program)
