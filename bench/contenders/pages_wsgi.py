"""Pages: Django's own WSGI application, with and without this package."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.contenders import Contender
from bench.harness.timed_run import TimedRun
from bench.pages import client, site
from bench.pages.pages import PAGES


class This(Contender):
    title = "stock WSGI"
    packages = ("Django", "psycopg", "psycopg-pool", "djangorestframework")
    process = "pages_stock"
    must_not_import: tuple[str, ...] = ("django_async_fast",)
    apps: tuple[str, ...] = ()

    async def open(self) -> None:
        from django.core.wsgi import get_wsgi_application

        site.configure(self.dsn, self.pool_size, *self.apps)
        await asyncio.to_thread(site.prepare)
        self.applications = site.both(get_wsgi_application)


def page(name: str) -> Any:
    def method(self: Any, timed: TimedRun) -> None:
        asked = PAGES[name]
        application = self.applications[asked.site]
        timed.pages_sync(
            lambda turn: client.get_wsgi(application, asked.sync_path, turn),
            asked.check,
        )

    return method


for _name in PAGES:
    setattr(This, f"page_{_name}", page(_name))
