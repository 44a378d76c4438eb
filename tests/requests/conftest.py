"""What tests of requests share: a site, its settings, and what a request may not leave."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def served(settings_override: Any) -> Iterator[None]:
    """The site of handler_site.py, with the middleware of the benchmarks' pages."""
    from . import handler_site  # Django is not set up when this is imported

    settings_override(
        ROOT_URLCONF=handler_site.__name__,
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=handler_site.MIDDLEWARE,
        LOGGING_CONFIG=None,
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    )
    handler_site.seen.clear()
    yield
    handler_site.seen.clear()


@pytest.fixture
def no_new_threads() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture
def atomic_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import connections

    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)


@pytest.fixture
def finished() -> Iterator[list[Any]]:
    """The senders of request_finished."""
    from django.core.signals import request_finished

    from tests.support.signals import receiving

    senders: list[Any] = []

    def receiver(sender: Any, **kwargs: Any) -> None:
        senders.append(sender)

    with receiving(receiver, request_finished):
        yield senders
