"""Django's test clients send their requests through the package's application.

On the loop and in the block and context of the suite. What a test gets is the response
that the application has made; of a streaming one, the parts that were sent.
"""

import asyncio
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import get_path_info
from django.test import client
from django.test.client import conditional_content_removal
from django.urls import get_script_prefix, set_script_prefix

from django_async_fast import bridge
from django_async_fast.requests.handler import Handler
from tools.conformance.recording import counts

CONTENT = "CONTENT_TYPE", "CONTENT_LENGTH"


def install() -> None:
    """Let clients, and those that a test derives from them, use the application."""
    client.ClientHandler.__call__ = _call
    client.AsyncClientHandler.__call__ = _acall


class Exchange:
    """A client's request, and what the application has made of it."""

    def __init__(self, handler: Any, body: bytes, environ: dict[str, Any]) -> None:
        self.checks_csrf = handler.enforce_csrf_checks
        self.environ = environ
        self.messages = [{"type": "http.request", "body": body, "more_body": False}]
        self.sent: list[Any] = []
        self.request: Any = None
        self.response: Any = None
        self.left = asyncio.Event()

    async def receive(self) -> Any:
        if not self.messages:
            await self.left.wait()
        return self.messages.pop() if self.messages else {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    def parts(self) -> list[bytes]:
        bodies = (message.get("body", b"") for message in self.sent)
        return [body for body in bodies if body]


class Application(Handler):
    """The package's application, that shows a client request and response."""

    def create_request(self, scope: Any, body_file: Any) -> Any:
        exchange: Exchange = scope["exchange"]
        request, response = super().create_request(scope, body_file)
        if request is not None:
            request._dont_enforce_csrf_checks = not exchange.checks_csrf
            request.environ = exchange.environ
            request.META = {**exchange.environ, **request.META}
        exchange.request, exchange.response = request, response
        return request, response

    def get_response(self, request: ASGIRequest) -> Any:
        response = super().get_response(request)
        request.scope["exchange"].response = response
        return response


def _application(handler: Any) -> Application:
    made: Application | None = vars(handler).get("_application")
    if made is None:
        made = handler._application = Application()
    return made


def _call(self: Any, environ: dict[str, Any]) -> Any:
    """`ClientHandler.__call__`."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) if length else b""
    exchange = Exchange(self, body, environ)
    response = bridge.await_(_serve(_application(self), _scope(environ), exchange))
    if response.streaming:
        response.streaming_content = iter(exchange.parts())
    response.wsgi_request = exchange.request
    return response


async def _acall(self: Any, scope: dict[str, Any]) -> Any:
    """`AsyncClientHandler.__call__`."""
    body_file = scope.pop("_body_file", None)
    body = body_file.read() if body_file is not None else b""
    exchange = Exchange(self, body, {})
    response = await _serve(_application(self), scope, exchange)
    if response.streaming:
        parts = exchange.parts()
        is_async = response.is_async
        response.streaming_content = _each(parts) if is_async else iter(parts)
    response.asgi_request = exchange.request
    return response


async def _each(parts: list[bytes]) -> Any:
    for part in parts:
        yield part


async def _serve(application: Any, scope: dict[str, Any], exchange: Exchange) -> Any:
    """Return the response."""
    counts["requests through the application"] += 1
    scope = {**scope, "exchange": exchange}
    # Each request has a context of its own, but for those of a test.
    prefix = get_script_prefix()
    try:
        await application(scope, exchange.receive, exchange.send)
    finally:
        set_script_prefix(prefix)
    if exchange.request is not None:
        conditional_content_removal(exchange.request, exchange.response)
    return exchange.response


def _scope(environ: dict[str, Any]) -> dict[str, Any]:
    """Return what a server would make of the request that `environ` describes."""
    root = environ.get("SCRIPT_NAME", "").rstrip("/")
    path = get_path_info(environ)
    headers = [
        (name.removeprefix("HTTP_").lower().replace("_", "-"), str(value))
        for name, value in environ.items()
        if (name.startswith("HTTP_") and value is not None) or name in CONTENT
    ]
    if (user := environ.get("REMOTE_USER")) is not None:
        # What stands before an ASGI server sends a header.
        headers.append(("remote-user", user))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": environ["REQUEST_METHOD"],
        "scheme": environ["wsgi.url_scheme"],
        "path": f"{root}/{path.removeprefix('/')}",
        "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
        "root_path": root,
        "client": (environ.get("REMOTE_ADDR", "127.0.0.1"), 0),
        "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
        "headers": [(k.encode(), v.encode("latin-1", "replace")) for k, v in headers],
    }
