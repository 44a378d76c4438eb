"""`make demo`: rows, and whole requests, with Django alone and with django-async-fast.

First 200,000 books are streamed, then a site is served for ten seconds. Each side has
processes of its own, and they take turns on one server.
"""

import argparse
import contextlib
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))

from rich.console import Console  # noqa: E402
from rich.progress import (  # noqa: E402
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TimeElapsedColumn,
)

from examples.demo import serving, streaming  # noqa: E402
from tools.postgres import database, postgres, server_version  # noqa: E402


def main(rounds: int) -> None:
    # A signal to end must run the `finally` blocks too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bars = SpinnerColumn(), *Progress.get_default_columns()[:2]
    progress = Progress(
        *bars, MofNCompleteColumn(), TimeElapsedColumn(), console=Console(stderr=True)
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(progress)
        dsn = stack.enter_context(postgres())
        server = server_version(dsn)
        with database(dsn, "django_async_fast_demo") as books:
            streamed = streaming.run(books, rounds, progress)
        with database(dsn, "django_async_fast_demo_site") as site:
            served = serving.run(site, progress)
    console = Console()
    streaming.show(*streamed, server, console)
    serving.show(*served, console)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="of streaming")
    try:
        main(parser.parse_args().rounds)
    except KeyboardInterrupt:
        sys.exit(130)
