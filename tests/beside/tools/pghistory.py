"""django-pghistory: events that triggers write, with the context of the code.

The context comes in a statement that its execute_wrapper puts in front of each write.
"""

from itertools import count
from typing import Any

from tests.beside.tool import Tool
from tests.beside.ways import Way


async def program(do: Any) -> None:
    import pghistory
    from django.db.models import F

    from tests.beside.history.models import Account

    accounts = Account.objects.order_by("pk")
    await do(Account.objects, "create", owner="without a context")
    async with do.within(pghistory.context, reason="opened"):
        account = await do(Account.objects, "create", owner="Ada")
        await do(Account.objects, "get", owner="Ada")
        await do(Account.objects, "get", owner="Ada")
        await do(accounts, "iterate")
        await do(accounts, "stream", chunk_size=2)
        await do(account, "save")
        await do(account, "refresh_from_db")
        await do(Account.objects, "create", owner="Ada")  # there is one
        async with do.within(pghistory.context, by="Brian"):
            await do(Account.objects, "update_or_create", owner="Carol")
            await do(Account.objects.filter(pk=1), "update", balance=F("balance") + 1)
    async with do.atomic(), do.within(pghistory.context, reason="closed"):
        await do(accounts.filter(owner="Carol"), "get")
        await do(account, "delete")
        await do(Account.objects, "bulk_create", [Account(owner=o) for o in "DE"])
    await do(Account.objects, "create", owner="without a context again")


class History(Tool):
    """Events of one program, with their contexts."""

    package = "pghistory"
    apps = ["pgtrigger", "pghistory", "tests.beside.history"]
    settings = {"PGTRIGGER_INSTALL_ON_MIGRATE": True}
    program = staticmethod(program)

    def seen(self) -> Any:
        from tests.beside.history.models import Account

        events = Account.pgh_event_model.objects.order_by("pgh_id")
        contexts: dict[Any, int] = {None: 0}
        return [
            [
                event.pgh_label,
                event.owner,
                event.balance,
                event.pgh_context and event.pgh_context.metadata,
                # Their ids are random: number them as they come.
                contexts.setdefault(event.pgh_context_id, len(contexts)),
            ]
            for event in events.select_related("pgh_context")
        ]


numbers = count()


async def of_one_request(do: Any) -> None:
    """Each request has a context of its own, and others have their turn in it."""
    import pghistory

    from tests.beside.history.models import Account

    number = next(numbers)
    async with do.within(pghistory.context, number=number):
        for each in range(3):
            await do(Account.objects, "create", owner=f"{number} {each}")


class HistoryInRequests(History):
    """Events of requests at once, each with the context of its own request."""

    in_a_request = True

    def run(self, way: Way) -> Any:
        from tests.beside.served import HOST, requests

        requests(way, of_one_request, [HOST] * 40, at_once=8)
        return "events"

    def seen(self) -> Any:
        from tests.beside.history.models import Account

        events = Account.pgh_event_model.objects.order_by("owner")
        return [
            [event.owner, event.pgh_context and event.pgh_context.metadata]
            for event in events.select_related("pgh_context")
        ]
