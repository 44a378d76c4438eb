"""For asgi.py: Django's application, with whole requests on the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .requests.lifespan import close_pools, lifespan, open_pools

if TYPE_CHECKING:
    from django.core.handlers.asgi import ASGIHandler

__all__ = ["close_pools", "get_asgi_application", "lifespan", "open_pools"]


def get_asgi_application(sync: str | None = None) -> ASGIHandler:
    """Return Django's ASGI application, whose requests wait on the event loop.

    In place of `django.core.asgi.get_asgi_application`. `sync` says where synchronous
    views run: on the "loop", or in a "thread" for each request, as Django's do. The
    setting SYNC is its default. Serves HTTP and lifespan; raises ValueError for others.
    """
    import django

    django.setup(set_prefix=False)
    from . import conf
    from .requests import handler

    return handler.make(sync or conf.get("SYNC"))
