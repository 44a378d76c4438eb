"""`python -m django_async_fast.benchmark`: what was saved over time, as one page.

Reads what `pytest --benchmark-autosave` wrote under `.benchmarks/`, or the files that
are named, and writes `benchmarks.html`.
"""

import argparse
import json
from pathlib import Path

from . import records
from .page import page


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m django_async_fast.benchmark")
    parser.add_argument("run", type=Path, nargs="*", help="pytest-benchmark's files")
    parser.add_argument("--out", type=Path, default=Path("benchmarks.html"))
    parser.add_argument(
        "--commit-url", default="", help="where a commit is shown, with {} for its id"
    )
    arguments = parser.parse_args()
    runs = arguments.run or sorted(Path(".benchmarks").glob("*/*.json"))
    found = [records.of_run(json.loads(run.read_text())) for run in runs]
    found = [record for record in found if record["cases"]]
    if not found:
        parser.exit(1, "There are no runs: pytest --benchmark-autosave makes some.\n")
    found.sort(key=lambda record: str(record["date"]))
    arguments.out.write_text(page(found, arguments.commit_url))
    print(f"{arguments.out}: {len(found)} runs")


if __name__ == "__main__":
    main()
