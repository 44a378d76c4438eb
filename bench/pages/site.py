"""Django's settings for the pages, what is in its tables, and its applications."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.pages import pages
from bench.shop import settings as shop

# Those of startproject.
CONTRIB = ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")
MIDDLEWARE = [
    f"django.{each}Middleware"
    for each in (
        *("middleware.security.Security", "contrib.sessions.middleware.Session"),
        *("middleware.common.Common", "middleware.csrf.CsrfView"),
        *(
            "contrib.auth.middleware.Authentication",
            "contrib.messages.middleware.Message",
        ),
        "middleware.clickjacking.XFrameOptions",
    )
]
PROCESSORS = [
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
]


def configure(dsn: str, pool_size: int, *apps: str) -> None:
    """Set Django up, unless another contender of this process has."""
    from django.conf import settings

    if settings.configured:
        return
    shop.configure(
        dsn,
        pool_size,
        *(f"django.contrib.{name}" for name in CONTRIB),
        *(["rest_framework"] if find_spec("rest_framework") else []),
        *apps,
        pooled_default=True,
        ROOT_URLCONF="bench.pages.views",
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=MIDDLEWARE,
        REST_FRAMEWORK={"DEFAULT_RENDERER_CLASSES": _RENDERERS},
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [Path(__file__).parent / "templates"],
                "OPTIONS": {"context_processors": PROCESSORS},
            }
        ],
    )


_RENDERERS = ["rest_framework.renderers.JSONRenderer"]


def prepare() -> None:
    """Make the tables of contrib, a user and its session, unless they are there."""
    from django.contrib.auth import (
        BACKEND_SESSION_KEY,
        HASH_SESSION_KEY,
        SESSION_KEY,
        get_user_model,
    )
    from django.contrib.sessions.backends.db import SessionStore
    from django.core.management import call_command
    from django.db import connection

    try:
        if "django_session" in connection.introspection.table_names():
            return
        call_command("migrate", verbosity=0)
        user = get_user_model().objects.create_user(pages.USER)
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session._session_key = pages.SESSION
        session.save(must_create=True)
    finally:
        connection.close()


def both(make: Callable[[], Any]) -> dict[bool, Any]:
    """Return what `make()` returns with the site's middleware, and without any."""
    from django.test import override_settings

    with override_settings(MIDDLEWARE=[]):
        bare = make()
    return {False: bare, True: make()}
