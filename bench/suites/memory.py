"""`python -m bench.suites.memory`: stream millions of rows, and watch the memory.

Of the process, while it iterates over `aiterator(2000)` in a block: resident memory
at each of 40 marks, above what was resident after the first rows. Linux only.
"""

import argparse
import asyncio
import gc
import sys

from rich.console import Console
from rich.progress import Progress

from bench.shop import dataset, settings
from tools.memory import memory_mb, reset_peak
from tools.postgres import database, postgres

ROWS = 5_000_000
CHUNK = 2_000
MARKS = 40
# More than this above the baseline, and the command fails.
LIMIT_MB = 20.0
BARS = " ▁▂▃▄▅▆▇█"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.suites.memory", description=__doc__
    )
    parser.add_argument("--rows", type=int, default=ROWS, help="rows to stream")
    rows: int = parser.parse_args().rows
    console = Console()
    with postgres() as server, database(server, "memory") as dsn:
        with console.status(f"writing {rows:,} rows"):
            dataset.create(dsn, rows)
        settings.configure(dsn, 1, "django_async_fast")
        marks = asyncio.run(_stream(rows, console))
    growth = [each - marks[0] for each in marks]
    highest = memory_mb("VmHWM") - marks[0]
    console.print(_plot(growth), style="bold")
    console.print(
        f"{rows:,} rows, MB above the {marks[0]:.0f} of the first rows: "
        f"highest {highest:.1f}, at the end {growth[-1]:.1f}"
    )
    return int(highest > LIMIT_MB)


async def _stream(rows: int, console: Console) -> list[float]:
    from bench.shop.models import Person
    from django_async_fast import new_connection

    async with new_connection():
        async for _ in Person.objects.filter(pk__lte=2 * CHUNK).aiterator(CHUNK):
            pass
        gc.collect()
        reset_peak()
        marks, count, step = [memory_mb("VmRSS")], 0, rows // MARKS
        with Progress(console=console, transient=True) as progress:
            bar = progress.add_task("streaming", total=rows)
            async for _ in Person.objects.aiterator(CHUNK):
                count += 1
                if not count % step:
                    marks.append(memory_mb("VmRSS"))
                    progress.update(bar, completed=count)
    assert count == rows, f"{count} rows came, not {rows}"
    return marks


def _plot(growth: list[float]) -> str:
    """Draw the marks as bars, of which the highest is the limit."""
    shares = (max(0.0, each) / LIMIT_MB for each in growth)
    return "".join(BARS[min(8, round(8 * share))] for share in shares)


if __name__ == "__main__":
    sys.exit(main())
