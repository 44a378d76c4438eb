"""200,000 books, streamed with Django alone and with django-async-fast.

Stock Django runs in a process of its own that never imports this package, because
installing it speeds up Django's own querysets too. The two processes take turns, round
by round, on one server; each keeps its connection. The clock runs while `async for`
does, nothing else. Only the parent talks to the terminal.
"""

import asyncio
import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools.memory import memory_mb, reset_peak  # noqa: E402
from tools.postgres import django_database  # noqa: E402

ROWS = 200_000
FEW_ROWS = ROWS // 10
AUTHORS = 1_000
CHUNK = 2_000
REPORT_EVERY = 10_000


# --- the process that streams -----------------------------------------------------


def stream_on_request(kind: str) -> None:
    """For each row count read from stdin, stream as many and write the figures."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    started = _count_started_threads()
    set_up(["django_async_fast"] if kind == "native" else [])
    asyncio.run(_serve(kind, started))


def set_up(apps: list[str]) -> None:
    """Make this process one of a project that has the books, at DATABASE_URL."""
    import django
    from django.conf import settings

    settings.configure(
        DATABASES={"default": django_database(os.environ["DATABASE_URL"])},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=["catalogue", *apps],
        USE_TZ=True,
    )
    django.setup()


def make_tables() -> None:
    from django.core.management import call_command

    set_up([])
    call_command("migrate", run_syncdb=True, verbosity=0, skip_checks=True)


def _count_started_threads() -> list[str]:
    """Record every start of a thread, for good."""
    started: list[str] = []
    start = threading.Thread.start

    def counting_start(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    threading.Thread.start = counting_start  # type: ignore[method-assign]
    return started


async def _serve(kind: str, started: list[str]) -> None:
    from catalogue.models import Author, Book

    block: Any = contextlib.nullcontext()
    hello = {"versions": "", "parts": ""}
    if kind == "native":
        from django_async_fast import new_connection
        from tools.versions import compiled_parts, versions

        block = new_connection()
        hello = {"versions": versions(), "parts": compiled_parts()}
    elif "django_async_fast" in sys.modules:
        raise SystemExit("The stock process has imported django_async_fast.")
    async with block:
        await Author.objects.acount()  # connects
        gc.collect()
        baseline = memory_mb("VmRSS")
        _write(hello)
        while line := sys.stdin.readline():
            books = Book.objects.all()
            if (rows := int(line)) < ROWS:
                books = books.filter(pk__lte=rows)
            reset_peak()
            figures = await _stream(books.aiterator(chunk_size=CHUNK))
            figures["peak_mb"] = max(0.0, memory_mb("VmHWM") - baseline)
            figures["threads"] = max(len(started), figures.pop("os_threads") - 1)
            _write(figures)


async def _stream(books: AsyncIterator[Any]) -> dict[str, Any]:
    rows = pages = 0
    os_threads = _os_threads()
    begin = time.perf_counter()
    async for book in books:
        rows += 1
        pages += book.pages
        if not rows % REPORT_EVERY:
            os_threads = max(os_threads, _os_threads())
            _write({"done": rows})
    seconds = time.perf_counter() - begin
    os_threads = max(os_threads, _os_threads())
    return {"rows": rows, "pages": pages, "seconds": seconds, "os_threads": os_threads}


def _write(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


def _os_threads() -> int:
    """Count this process's threads as the kernel does: also those not Python's."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.exists() else threading.active_count()


# --- the process that shows -------------------------------------------------------


@dataclass
class Streamer:
    """The other end of one streaming process, and what it measured."""

    kind: str
    process: subprocess.Popen[str]
    hello: dict[str, str] = field(default_factory=dict)
    few_peak_mb: float = 0.0
    passes: list[dict[str, Any]] = field(default_factory=list)

    def read(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"The {self.kind} process failed: see above.")
        return json.loads(line)

    def stream(self, rows: int, progress: Any, task: Any) -> dict[str, Any]:
        self.process.stdin.write(f"{rows}\n")
        self.process.stdin.flush()
        progress.reset(task, total=rows, description=self.kind, visible=True)
        while "done" in (message := self.read()):
            progress.update(task, completed=message["done"])
        if message["rows"] != rows:
            raise SystemExit(f"{self.kind}: asked for {rows} rows, got {message}")
        return message

    @property
    def rows_per_s(self) -> float:
        return median(run["rows"] / run["seconds"] for run in self.passes)

    @property
    def peak_mb(self) -> float:
        return max(run["peak_mb"] for run in self.passes)

    @property
    def threads(self) -> int:
        return max(run["threads"] for run in self.passes)


@contextlib.contextmanager
def streamer(kind: str, dsn: str) -> Iterator[Streamer]:
    process = subprocess.Popen(
        [sys.executable, __file__, kind],
        env=os.environ | {"DATABASE_URL": dsn},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        result = Streamer(kind, process)
        result.hello = result.read()
        yield result
    finally:
        process.kill()
        process.communicate()


def seed(dsn: str, progress: Any) -> None:
    import psycopg

    task = progress.add_task("seeding books", total=ROWS)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO catalogue_author (id, name)"
            " SELECT i, 'Author ' || i FROM generate_series(1, %s) i",
            [AUTHORS],
        )
        for first in range(1, ROWS + 1, REPORT_EVERY):
            connection.execute(
                "INSERT INTO catalogue_book (id, title, blurb, pages, author_id,"
                " in_print, price, rating, added, published)"
                " SELECT i, 'Book number ' || i, repeat('All about it. ', 4),"
                "  100 + i %% 900, 1 + i %% %s, i %% 5 > 0, (i %% 10000) / 100.0,"
                "  (i %% 50) / 10.0, timestamptz '2020-01-01Z' + i * interval '1 min',"
                "  date '1990-01-01' + (i %% 10000)::int"
                " FROM generate_series(%s::bigint, %s) i",
                [AUTHORS, first, first + REPORT_EVERY - 1],
            )
            progress.update(task, completed=first + REPORT_EVERY - 1)
        connection.execute("VACUUM ANALYZE catalogue_book")


def measure(stock: Streamer, native: Streamer, rounds: int, progress: Any) -> None:
    total = progress.add_task("rounds", total=rounds)
    task = progress.add_task("", visible=False)
    for one in (stock, native):  # warms up, and shows the memory that few rows take
        one.few_peak_mb = one.stream(FEW_ROWS, progress, task)["peak_mb"]
    for number in range(rounds):
        order = (stock, native) if number % 2 else (native, stock)
        for one in order:
            one.passes.append(one.stream(ROWS, progress, task))
        progress.update(total, completed=number + 1)
    progress.update(task, visible=False)
    if len({run["pages"] for one in (stock, native) for run in one.passes}) != 1:
        raise SystemExit("The two did not read the same books.")


def run(dsn: str, rounds: int, progress: Any) -> tuple[Streamer, Streamer]:
    """Return what stock Django and the package did, in so many rounds."""
    command = [sys.executable, __file__, "tables"]
    subprocess.run(command, env=os.environ | {"DATABASE_URL": dsn}, check=True)
    seed(dsn, progress)
    with streamer("stock", dsn) as stock, streamer("native", dsn) as native:
        measure(stock, native, rounds, progress)
        return stock, native


def table_of_two(title: str, stock: str) -> Any:
    from rich.table import Table

    table = Table("", title=title)
    table.add_column(stock, justify="right")
    table.add_column("django-async-fast", justify="right", style="bold green")
    return table


def show(stock: Streamer, native: Streamer, server: str, console: Any) -> None:
    ratio = native.rows_per_s / stock.rows_per_s
    title = f"async for book in Book.objects.aiterator(): {ROWS:,} rows"
    table = table_of_two(title, "stock Django")
    pair = (stock, native)
    table.add_row("rows per second", *(f"{one.rows_per_s:,.0f}" for one in pair))
    table.add_row("ratio", "1.00", f"{ratio:.2f}")
    table.add_row("threads started", *(str(one.threads) for one in pair))
    table.add_row("peak memory, MB", *(f"{one.peak_mb:.1f}" for one in pair))
    table.add_row(
        f"  with {FEW_ROWS:,} rows", *(f"{one.few_peak_mb:.1f}" for one in pair)
    )
    console.print(table)
    print(f"Medians of {len(native.passes)} interleaved rounds, chunk_size={CHUNK};")
    print("memory above what the process used after its first query.")
    print(f"server: PostgreSQL {server}")
    print(f"versions: {native.hello['versions']}")
    print(f"compiled parts: {native.hello['parts']}")
    print(
        f"RESULT native_rows_per_s={native.rows_per_s:.0f}"
        f" stock_rows_per_s={stock.rows_per_s:.0f} ratio={ratio:.2f}"
        f" threads_native={native.threads} peak_mb_native={native.peak_mb:.1f}"
    )


if __name__ == "__main__":
    if sys.argv[1] == "tables":
        make_tables()
    else:
        stream_on_request(sys.argv[1])
