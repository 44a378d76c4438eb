"""The application under the servers that there are: start, load, Ctrl-C under load."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psycopg
import pytest

from tests.support.needed import needed
from tests.support.until import until
from tools.postgres import free_port

APPLICATION = "tests.requests.served_site:application"
ROOT = Path(__file__).resolve().parents[2]
# Seconds in which a server has to start, and to stop.
START, STOP = 30, 15

UVICORN = ["uvicorn", APPLICATION, "--port={port}", "--log-level=warning"]
GUNICORN = ["gunicorn", APPLICATION, "--bind=127.0.0.1:{port}", "--log-level=warning"]
GUNICORN += ["--workers=2", "--graceful-timeout=5"]
GUNICORN += ["--worker-class=uvicorn_worker.UvicornWorker"]
GRANIAN = ["granian", APPLICATION, "--interface=asgi", "--port={port}"]
GRANIAN += ["--log-level=warning"]
HYPERCORN = ["hypercorn", APPLICATION, "--bind=127.0.0.1:{port}"]
HYPERCORN += ["--log-level=warning", "--graceful-timeout=5"]

SERVERS = {
    "uvicorn": [*UVICORN, "--loop=asyncio"],
    "uvicorn, uvloop": [*UVICORN, "--loop=uvloop"],
    "uvicorn, workers": [*UVICORN, "--workers=2"],
    "hypercorn": HYPERCORN,
    "daphne": ["daphne", "-p", "{port}", "-v0", APPLICATION],
    "granian": GRANIAN,
    "granian, workers": [*GRANIAN, "--workers=2"],
    "gunicorn": GUNICORN,
    "gunicorn, preload": [*GUNICORN, "--preload"],
}


# A finaliser of asyncio's transports, on CPython 3.13.0: of a connection of hypercorn's
# that was still open when its server had closed, seen in one run of four. In its frames
# is nothing of the application's.
OF_CPYTHON = re.compile(
    r"Exception ignored in: <function _SelectorTransport.__del__.*?"
    r"TypeError: 'NoneType' object is not iterable\n",
    re.DOTALL,
)


def sessions(dsn: str, name: str) -> int:
    query = "SELECT FROM pg_stat_activity WHERE application_name = %s"
    with psycopg.connect(dsn) as connection:
        return connection.execute(query, [name]).rowcount


async def get(port: int, path: str) -> str:
    """Return the body of the answer; raise OSError where there is none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.decode().partition("\r\n\r\n")
    if not head:
        raise ConnectionError("hung up")
    # In chunks, perhaps: of one number.
    return f"{head.split()[1]} {'42' if '42' in body else body}"


async def is_up(port: int, process: subprocess.Popen[str]) -> bool:
    assert process.poll() is None, process.communicate()
    try:
        assert await get(port, "/sync") == "200 42"
    except OSError:
        return False
    return True


async def load(port: int, answers: Counter[str], end: asyncio.Event) -> None:
    """Ask until `end`, and on while the server stops; it may refuse then."""
    while True:
        for path in ("/sync", "/async"):
            try:
                answers[await get(port, path)] += 1
            except OSError:
                if end.is_set():
                    return
                raise


@pytest.mark.parametrize("name", SERVERS)
async def test_a_server(name: str, dsn: str) -> None:
    command = SERVERS[name]
    needed(command[0])
    for part, package in {"uvloop": "uvloop", "gunicorn": "uvicorn_worker"}.items():
        if part in name:
            needed(package)
    port, served_as = free_port(), f"served by {name}"
    process = subprocess.Popen(
        [sys.executable, "-m", *(part.format(port=port) for part in command)],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": dsn, "SERVED_AS": served_as},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        await until(lambda: is_up(port, process), START)
        assert sessions(dsn, served_as)
        answers, end = Counter[str](), asyncio.Event()
        clients = [asyncio.create_task(load(port, answers, end)) for _ in range(16)]
        await asyncio.sleep(1)
        assert not any(client.done() for client in clients)
        end.set()
        # As a terminal does: to all of its processes.
        os.killpg(process.pid, signal.SIGINT)
        began = time.monotonic()
        out, err = await asyncio.to_thread(process.communicate, timeout=STOP)
        assert time.monotonic() - began < STOP
        await asyncio.wait(clients, timeout=5)
        for client in clients:
            client.cancel()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert answers.pop("200 42") > 50
    assert set(answers) <= {"503 "}, answers
    for said in (out, OF_CPYTHON.sub("", err)):
        assert "Traceback" not in said, said
        assert "never awaited" not in said, said
        assert "ResourceWarning" not in said, said
    await until(lambda: not sessions(dsn, served_as), 5)
