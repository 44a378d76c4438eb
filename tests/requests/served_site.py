"""A project of one file, which test_servers.py has servers import."""

import os
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

from tools.postgres import django_database

# A server that preloads imports it once, one that reloads again.
if not settings.configured:
    pool = {"min_size": 1, "max_size": 4, "timeout": 30}
    options = {"pool": pool, "application_name": os.environ["SERVED_AS"]}
    dsn = os.environ["DATABASE_URL"]
    settings.configure(
        DATABASES={"default": django_database(dsn, OPTIONS=options)},
        SECRET_KEY="not one",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=["django_async_fast"],
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    )


def asked() -> str:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.01), 42")
        return str(cursor.fetchone()[1])


def sync_view(request: HttpRequest) -> HttpResponse:
    return HttpResponse(asked())


async def async_view(request: HttpRequest) -> HttpResponse:
    return HttpResponse(asked())  # lazily


urlpatterns = [path("sync", sync_view), path("async", async_view)]


def _make() -> Any:
    from django_async_fast.asgi import get_asgi_application

    return get_asgi_application()


application = _make()
