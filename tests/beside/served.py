"""A program in a view, behind Django's own WSGI or ASGI handler, or our application."""

import asyncio
from collections.abc import Sequence
from typing import Any

from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections
from django.http import HttpResponse
from django.test import AsyncRequestFactory, RequestFactory
from django.urls import path

from tests.beside import urls
from tests.beside.ways import Way
from tests.support.programs import Program

PATH = "/program/"
TIMEOUT = 60
HOST = "testserver"


def request(way: Way, program: Program) -> list[str]:
    """Run the program in a view; return what its steps returned."""
    return requests(way, program, [HOST])[0]


def requests(
    way: Way, program: Program, hosts: Sequence[str], at_once: int = 1
) -> list[list[str]]:
    """Ask each host once, some at the same time where the way is asynchronous."""
    results: dict[int, list[str]] = {}

    def view(request: Any) -> HttpResponse:
        results[int(request.GET["number"])] = way.run(program)
        return HttpResponse("<body>done</body>")

    async def async_view(request: Any) -> HttpResponse:
        results[int(request.GET["number"])] = await way.run(program)
        return HttpResponse("<body>done</body>")

    chosen: Any = async_view if way.asynchronous else view
    urls.urlpatterns.append(path(PATH[1:], chosen))
    if way.application:
        from django_async_fast.asgi import get_asgi_application

        asyncio.run(_through_asgi(get_asgi_application(), hosts, at_once))
    elif way.asynchronous:
        asyncio.run(_through_asgi(ASGIHandler(), hosts, at_once))
    else:
        _through_wsgi(hosts)
    return [results[number] for number in range(len(hosts))]


def _through_wsgi(hosts: Sequence[str]) -> None:
    application = WSGIHandler()
    for number, host in enumerate(hosts):
        asked = RequestFactory().get(PATH, {"number": number}, SERVER_NAME=host)
        statuses: list[str] = []
        response = application(asked.environ, lambda each, _: statuses.append(each))
        assert b"".join(response)
        response.close()
        assert statuses == ["200 OK"]
    connections.close_all()


async def _through_asgi(
    application: ASGIHandler, hosts: Sequence[str], at_once: int
) -> None:
    turns = asyncio.Semaphore(at_once)

    async def one(number: int, host: str) -> None:
        scope = AsyncRequestFactory().get(PATH, {"number": number}).scope
        scope["headers"] = [(b"host", host.encode())]
        served = ApplicationCommunicator(application, scope)
        async with turns:
            await served.send_input({"type": "http.request", "body": b""})
            start = await served.receive_output(TIMEOUT)
            body = await served.receive_output(TIMEOUT)
            await served.wait(TIMEOUT)
        assert start["status"] == 200, body["body"].decode()

    await asyncio.gather(*[one(*each) for each in enumerate(hosts)])
    await sync_to_async(connections.close_all)()
