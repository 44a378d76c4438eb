"""One request to an ASGI application in the process, without a server."""

import asyncio
from collections.abc import Mapping
from typing import Any


async def get(
    application: Any, path: str, headers: Mapping[str, str]
) -> tuple[int, bytes]:
    """Return the status and the body, as a server would send them."""
    path, _, query = path.partition("?")
    said = {"host": "localhost", **{k.lower(): v for k, v in headers.items()}}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 80),
        "headers": [(k.encode(), v.encode()) for k, v in said.items()],
    }
    sent: list[dict[str, Any]] = []
    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])
    left = asyncio.Event()

    async def receive() -> Any:
        for message in asked:
            return message
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    # In a task of its own, as from a server: what it leaves in its context is its own.
    await asyncio.create_task(application(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], body
