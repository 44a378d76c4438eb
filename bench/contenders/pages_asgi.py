"""Pages: Django's own ASGI application."""

import asyncio
from typing import Any

from bench.contenders import Contender
from bench.harness.timed_run import TimedRun
from bench.pages import client, site
from bench.pages.pages import PAGES


class This(Contender):
    title = "stock ASGI"
    packages = ("Django", "psycopg", "psycopg-pool", "djangorestframework")
    process = "pages_stock"
    must_not_import: tuple[str, ...] = ("django_async_fast",)
    apps: tuple[str, ...] = ()

    async def open(self) -> None:
        site.configure(self.dsn, self.pool_size, *self.apps)
        await asyncio.to_thread(site.prepare)
        self.applications = site.both(self.make_application)

    def make_application(self) -> Any:
        from django.core.asgi import get_asgi_application

        return get_asgi_application()


def page(name: str) -> Any:
    """Return the method that times a page of an ASGI application."""

    async def method(self: Any, timed: TimedRun) -> None:
        asked = PAGES[name]
        application = self.applications[asked.site]
        await timed.pages(
            lambda turn: client.get(application, asked.path, turn), asked.check
        )

    return method


for _name in PAGES:
    setattr(This, f"page_{_name}", page(_name))
