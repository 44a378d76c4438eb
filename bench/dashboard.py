"""`python -m bench.dashboard record|check|page`: keep a run, compare it, show them all.

    record    writes the newest run of bench/results/ to bench/history/
    check     fails if it is slower than the last record of the same kind of machine
    page      writes build/dashboard/index.html

Both of the first take the name of another run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from django_async_fast.benchmark import records
from django_async_fast.benchmark.page import page
from django_async_fast.benchmark.ratios import fallen

ROOT = Path(__file__).resolve().parents[1]
HISTORY, RESULTS = ROOT / "bench" / "history", ROOT / "bench" / "results"
PAGE = ROOT / "build" / "dashboard" / "index.html"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.dashboard")
    parser.add_argument("act", choices=("record", "check", "page"))
    parser.add_argument("run", type=Path, nargs="?", help="the newest if none is named")
    parser.add_argument(
        "--commit-url",
        default=os.environ.get("COMMIT_URL", ""),
        help="where a commit is shown, with {} for its id",
    )
    arguments = parser.parse_args()
    if arguments.act == "page":
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(page(records.load(HISTORY), arguments.commit_url))
        print(f"{os.path.relpath(PAGE)}: {PAGE.stat().st_size:,} bytes")
        return 0
    run = arguments.run or max(RESULTS.glob("*.json"), default=None)
    if run is None:
        sys.exit("There is no run in bench/results/: `make bench` makes one.")
    record = records.of_run(json.loads(run.read_text()))
    if arguments.act == "record":
        print(f"recorded: {os.path.relpath(records.save(record, HISTORY))}")
        return 0
    slower = list(fallen(records.load(HISTORY), record))
    print(*(f"slower: {each}" for each in slower), sep="\n", end="\n" if slower else "")
    print(f"{len(record['cases'])} cases, {len(slower)} slower by more than the noise")
    return int(bool(slower))


if __name__ == "__main__":
    sys.exit(main())
