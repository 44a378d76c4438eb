"""Pages: Django's own WSGI application, with and without this package."""

from typing import Any

from bench.contenders import pages_asgi
from bench.harness.timed_run import TimedRun
from bench.pages import client
from bench.pages.pages import PAGES


class This(pages_asgi.This):
    title = "stock WSGI"

    def make_application(self) -> Any:
        from django.core.wsgi import get_wsgi_application

        return get_wsgi_application()


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
