"""The site for a server: it calls one of these functions for its application."""

import os
from typing import Any

from bench.pages import site


def asgi_fast() -> Any:
    """Return this package's application."""
    _configure("django_async_fast")
    from django_async_fast.asgi import get_asgi_application

    return get_asgi_application()


def asgi() -> Any:
    """Return Django's own ASGI application, without this package."""
    _configure()
    from django.core.asgi import get_asgi_application

    return get_asgi_application()


def wsgi() -> Any:
    """Return Django's own WSGI application, without this package."""
    _configure()
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


def _configure(*apps: str) -> None:
    site.configure(os.environ["BENCH_DSN"], int(os.environ["BENCH_POOL"]), *apps)
