"""`python -m bench.dashboard record|check|page`: keep a run, compare it, show them all.

    record    writes the newest run of bench/results/ to bench/history/
    check     fails if it is slower than the last record of the same kind of machine
    page      writes build/dashboard/index.html

Both of the first take the name of another run.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from django_async_fast.benchmark import records
from django_async_fast.benchmark.page import page
from django_async_fast.benchmark.ratios import base_of, changed, ours_of, ratios
from django_async_fast.benchmark.records import Record, kind

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
        PAGE.write_text(page(load(HISTORY), arguments.commit_url))
        print(f"{os.path.relpath(PAGE)}: {PAGE.stat().st_size:,} bytes")
        return 0
    run = arguments.run or max(RESULTS.glob("*.json"), default=None)
    if run is None:
        sys.exit("There is no run in bench/results/: `make bench` makes one.")
    record = records.of_run(json.loads(run.read_text()))
    if arguments.act == "record":
        print(f"recorded: {os.path.relpath(save(record, HISTORY))}")
        return 0
    slower = list(fallen(load(HISTORY), record))
    print(*(f"slower: {each}" for each in slower), sep="\n", end="\n" if slower else "")
    print(f"{len(record['cases'])} cases, {len(slower)} slower by more than the noise")
    return int(bool(slower))


def save(record: Record, at: Path) -> Path:
    at.mkdir(exist_ok=True)
    name = f"{record['date'].replace(':', '-')}-{record['commit'][:9]}.json"
    text = json.dumps(record, indent=None, separators=(",", ":"))
    # A line for each case: git shows what is new.
    written = at / name
    written.write_text(re.sub(r'("\w+/\w+":\{"title")', r"\n\1", text) + "\n")
    return written


def load(at: Path) -> list[Record]:
    """Return all records, the oldest first."""
    return [json.loads(path.read_text()) for path in sorted(at.glob("*.json"))]


def fallen(before: list[Record], now: Record) -> Iterator[str]:
    """Yield what is slower than in the last record of the same kind of machine."""
    alike = [record for record in before if kind(record) == kind(now)]
    for name, case in now["cases"].items():
        last = next((r for r in reversed(alike) if name in r["cases"]), None)
        ours, base = ours_of(case), base_of(case)
        if last is None or ours is None or base_of(last["cases"][name]) != base:
            continue
        then = ratios(last["cases"][name], "cpu").get(ours)
        today = ratios(case, "cpu").get(ours)
        if then and today and changed(then, today) < 0:
            yield (
                f"{name}: {today[1]:g} times as fast as {base} ({today[0]:g} to "
                f"{today[2]:g}), {then[1]:g} ({then[0]:g} to {then[2]:g}) in "
                f"{last['commit'][:9]}"
            )


if __name__ == "__main__":
    sys.exit(main())
