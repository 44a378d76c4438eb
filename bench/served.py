"""Pages under load: `python -m bench.served` asks real servers, by wrk.

Each server runs alone, one process on a processor of its own, with 64 clients that ask
again at once; servers take turns, for as many rounds as asked for. Needs Linux, wrk
(Debian: `apt install wrk`), and
`pip install uvicorn[standard] gunicorn gevent djangorestframework`.
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.harness.contender_processes import pinned, split_cpus
from bench.pages.client import HEADERS
from bench.pages.pages import PAGES
from bench.shop import dataset
from tools.postgres import database, free_port, postgres

CLIENTS, POOL, WARM_UP = 64, 8, 2
NAMES = "plain", "db", "books", "site", "site_sync", "api"

# Each request asks for the next of the page's rows.
SCRIPT = """
local turn = 0
request = function()
  turn = turn + 1
  return wrk.format("GET", wrk.path .. "?turn=" .. turn)
end
"""
_APPLICATIONS = "bench.pages.applications"
_UVICORN = ("uvicorn", "--factory", "--no-access-log", "--log-level", "warning")
_GUNICORN = ("gunicorn", "--workers", "1", "--log-level", "warning")


@dataclass(frozen=True)
class Server:
    """A way to serve the site: its command, without the address, and its pages."""

    title: str
    command: tuple[str, ...]
    is_async: bool

    def arguments(self, port: int) -> list[str]:
        program, *options = self.command
        address = ["--port", str(port)]
        if program == "gunicorn":
            address = ["--bind", f"127.0.0.1:{port}"]
        return [sys.executable, "-m", program, *options, *address]

    def path(self, name: str) -> str:
        return PAGES[name].path if self.is_async else PAGES[name].sync_path


@dataclass(frozen=True)
class Figures:
    """What one server did on one page: medians of the rounds."""

    requests_a_second: float
    # Of the server's processes; unlike the first it stands a busy machine.
    cpu_us: float


SERVERS = (
    Server(
        "django-async-fast, uvicorn", (*_UVICORN, f"{_APPLICATIONS}:asgi_fast"), True
    ),
    Server("stock ASGI, uvicorn", (*_UVICORN, f"{_APPLICATIONS}:asgi"), True),
    Server(
        "stock WSGI, gunicorn threads",
        (*_GUNICORN, "--threads", str(CLIENTS), f"{_APPLICATIONS}:wsgi()"),
        False,
    ),
    Server(
        "stock WSGI, gunicorn gevent",
        (*_GUNICORN, "--worker-class", "gevent", f"{_APPLICATIONS}:wsgi()"),
        False,
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.served", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument("--only", metavar="PAGE", choices=NAMES, help="one page")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.exit(2, "wrk is not installed: apt install wrk\n")
    names = (options.only,) if options.only else NAMES
    figures = measure(names, options.rounds, options.seconds)
    Console().print(*tables(figures, names), sep="\n")


def measure(
    names: tuple[str, ...], rounds: int, seconds: int
) -> dict[tuple[str, str], Figures]:
    """Return the figures, by server's title and page."""
    found: dict[tuple[str, str], list[Figures]] = {}
    others, own = split_cpus()
    with contextlib.ExitStack() as stack:
        # wrk is where the database is, which the server leaves in peace.
        stack.enter_context(pinned(others))
        dsn = stack.enter_context(postgres())
        dsn = stack.enter_context(database(dsn, "django_async_fast_bench"))
        dataset.create(dsn, dataset.QUICK_ROWS)
        prepare(dsn)
        turns = [server for _ in range(rounds) for server in SERVERS]
        for server in track(turns, "servers"):
            with running(server, dsn, own) as (port, pid):
                for name in names:
                    check(server, port, name)
                    load(server, port, name, WARM_UP)
                    before = cpu_seconds(pid)
                    rate = load(server, port, name, seconds)
                    cpu = (cpu_seconds(pid) - before) / (rate * seconds)
                    figures = Figures(rate, cpu * 1e6)
                    found.setdefault((server.title, name), []).append(figures)
    return {
        which: Figures(
            median(each.requests_a_second for each in rounds_),
            median(each.cpu_us for each in rounds_),
        )
        for which, rounds_ in found.items()
    }


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process and its children have used."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_seconds(int(child)) for child in children)


@contextlib.contextmanager
def running(server: Server, dsn: str, cpus: set[int]) -> Iterator[tuple[int, int]]:
    """Run `server`, yield its port and process. Raises RuntimeError if it fails."""
    port = free_port()
    with pinned(cpus):
        process = subprocess.Popen(server.arguments(port), env=_environment(dsn))
    try:
        for _ in range(200):
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", port)),
            ):
                break
            if process.poll() is not None:
                raise RuntimeError(f"{server.title} did not start")
            time.sleep(0.1)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def check(server: Server, port: int, name: str) -> None:
    """Ask for one page, and raise ValueError unless it is right."""
    url = f"http://127.0.0.1:{port}{server.path(name)}?turn=3"
    asked = urllib.request.Request(url, headers=HEADERS)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        body = answer.read()
    if not PAGES[name].check(3, body):
        raise ValueError(f"{server.title}: {url}: {body[:1000]!r}")


def load(server: Server, port: int, name: str, seconds: int) -> float:
    """Return the requests a second of so many seconds; ValueError if any failed."""
    url = f"http://127.0.0.1:{port}{server.path(name)}"
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "turns.lua")
        script.write_text(SCRIPT)
        command = ["wrk", "-t1", f"-c{CLIENTS}", f"-d{seconds}s", "--timeout", "20s"]
        for header in HEADERS.keys() - {"host"}:  # which wrk sends
            command += ["-H", f"{header}: {HEADERS[header]}"]
        command += ["-s", str(script), url]
        said = subprocess.run(command, capture_output=True, text=True, check=True)
    if "Non-2xx" in said.stdout or "Socket errors" in said.stdout:
        raise ValueError(f"{server.title}: {name}\n{said.stdout}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", said.stdout)
    assert found is not None, said.stdout
    return float(found[1])


def tables(
    figures: dict[tuple[str, str], Figures], names: tuple[str, ...]
) -> Iterator[Table]:
    """Yield a table for each kind of figure, with how much better ours is."""
    ours = {name: figures[SERVERS[0].title, name] for name in names}
    for title, value, better in (
        ("Requests a second (x: ours over it)", "requests_a_second", 1),
        ("Processor time a request, us (x: it over ours)", "cpu_us", -1),
    ):
        shown = Table("server", title=title)
        for name in names:
            shown.add_column(name, justify="right")
        for server in SERVERS:
            cells = []
            for name in names:
                its = getattr(figures[server.title, name], value)
                ratio = (getattr(ours[name], value) / its) ** better
                cells.append(f"{its:,.0f} x{ratio:.2f}")
            shown.add_row(server.title, *cells)
        yield shown


def _environment(dsn: str) -> dict[str, str]:
    return {**os.environ, "BENCH_DSN": dsn, "BENCH_POOL": str(POOL)}


def prepare(dsn: str) -> None:
    """Make the tables of Django's own applications, a user and a session."""
    program = (
        "from bench.pages import applications as a, site; a.asgi(); site.prepare()"
    )
    subprocess.run([sys.executable, "-c", program], env=_environment(dsn), check=True)


if __name__ == "__main__":
    main()
