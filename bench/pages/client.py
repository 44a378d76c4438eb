"""Requests to an application in this process: what the servers are given, no more."""

import asyncio
import io
import sys
from typing import Any

from bench.pages.pages import SESSION

HEADERS = {"host": "localhost", "user-agent": "bench", "accept": "*/*"}
HEADERS["cookie"] = f"sessionid={SESSION}"

# What every request has in common.
SCOPE = {
    "type": "http",
    "method": "GET",
    "scheme": "http",
    "http_version": "1.1",
    "root_path": "",
    "asgi": {"version": "3.0"},
    "client": ("127.0.0.1", 5),
    "server": ("127.0.0.1", 80),
    "headers": [(k.encode(), v.encode()) for k, v in HEADERS.items()],
}


class WrongPage(Exception):
    """An application has answered something else."""


async def get(application: Any, path: str, turn: int) -> bytes:
    """Return the body of the page from an ASGI application, in a task of its own."""
    return await asyncio.create_task(_get(application, path, turn))


async def _get(application: Any, path: str, turn: int) -> bytes:
    scope = SCOPE | {
        "path": path,
        "raw_path": path.encode(),
        "query_string": f"turn={turn}".encode(),
    }
    sent: list[Any] = []
    messages = iter([{"type": "http.request", "body": b"", "more_body": False}])
    left = asyncio.Event()

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        for message in messages:
            return message
        await left.wait()
        return {"type": "http.disconnect"}

    await application(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    if sent[0]["status"] != 200:
        raise WrongPage(f"{path}: {sent[0]['status']} {body[:2000]!r}")
    return body


def get_wsgi(application: Any, path: str, turn: int) -> bytes:
    """Return the body of the page from a WSGI application."""
    statuses: list[str] = []
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": f"turn={turn}",
        "SCRIPT_NAME": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
    }
    environ |= {f"HTTP_{k.upper().replace('-', '_')}": v for k, v in HEADERS.items()}
    response = application(environ, lambda status, headers: statuses.append(status))
    body = b"".join(response)
    response.close()
    if not statuses[0].startswith("200"):
        raise WrongPage(f"{path}: {statuses[0]} {body[:2000]!r}")
    return body
