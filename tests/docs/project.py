"""What the pages' code is written for: a project with models, a template and clients."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.apps.registry import Apps
from django.contrib.auth.models import AnonymousUser
from django.core.management.base import BaseCommand
from django.db import connection, connections, models, transaction
from django.db.models import F, Sum
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import render
from django.test import AsyncRequestFactory, override_settings

import django_async_fast
from django_async_fast.asgi import get_asgi_application
from tests.testapp.models import Author, Book, Tag

# Not among the models of the tests.
_apps = Apps()


class _Model(models.Model):
    class Meta:
        abstract = True
        app_label = "docs"
        apps = _apps


class Sale(_Model):
    day = models.DateField()
    price = models.DecimalField(max_digits=10, decimal_places=2)


class Account(_Model):
    balance = models.IntegerField(default=0)


class Message(_Model):
    text = models.TextField()


class Invoice(_Model):
    number = models.IntegerField()
    data = "..."


MODELS = (Sale, Account, Message, Invoice)
SHELF = {"shelf.html": "{% for book in books %}{{ book.author }}{% endfor %}"}
LOADERS = [("django.template.loaders.locmem.Loader", SHELF)]
BACKEND = "django.template.backends.django.DjangoTemplates"
TEMPLATES = [{"BACKEND": BACKEND, "OPTIONS": {"loaders": LOADERS}}]
# Arguments of the pages' functions, which are called if all theirs are here.
ARGUMENTS: dict[str, Any] = {
    "amount": 1,
    "author_id": 1,
    "name": "Jane",
    "number": 1,
    "source": 1,
    "target": 1,
}


class AsyncWebsocketConsumer:
    """Channels' is not installed."""


def _request() -> Any:
    request = AsyncRequestFactory().get("/")
    request.user = AnonymousUser()
    return request


def arguments() -> dict[str, Any]:
    return ARGUMENTS | {"request": _request()}


def names() -> dict[str, Any]:
    """Return what the pages take for granted."""
    ours = {
        each: getattr(django_async_fast, each) for each in django_async_fast.__all__
    }
    theirs = (
        *(*MODELS, Author, Book, Tag, AsyncWebsocketConsumer, BaseCommand, F, Sum),
        *(HttpResponse, JsonResponse, StreamingHttpResponse, get_asgi_application),
        *(async_to_sync, sync_to_async, render),
    )
    return ours | {
        **{each.__name__: each for each in theirs},
        "AuthorFactory": Author,
        "RENDERER": "https://example.com/",
        "asyncio": asyncio,
        "connection": connection,
        "count": lambda execute, *args: execute(*args),
        "names": ["red", "blue"],
        "notify": lambda: None,
        # Their marks and fixtures are theirs.
        "pytest": SimpleNamespace(mark=SimpleNamespace(asyncio=lambda test: test)),
        "pytest_asyncio": SimpleNamespace(fixture=lambda function: function),
        "requests": SimpleNamespace(
            post=lambda url, json: SimpleNamespace(content=b"%PDF")
        ),
        "schema_context": lambda schema: nullcontext(),
        "transaction": transaction,
    }


@contextmanager
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Make the tables, rows and the second database that the pages use; yield names."""
    other = connections.settings["other"]
    monkeypatch.setitem(connections.settings, "reporting", other)
    for alias in ("default", "other"):
        with connections[alias].schema_editor() as editor:
            for model in MODELS:
                editor.create_model(model)
    try:
        author = Author.objects.create(name="Jane")
        Book.objects.create(title="Emma", author=author)
        Account.objects.create()
        Invoice.objects.create(number=1)
        with override_settings(TEMPLATES=TEMPLATES):
            yield names() | {"author": author, "author_id": author.pk}
    finally:
        for alias in ("default", "other"):
            with connections[alias].schema_editor() as editor:
                for model in MODELS:
                    editor.delete_model(model)
            connections[alias].close()
