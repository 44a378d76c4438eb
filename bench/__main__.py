"""`python -m bench`: run the suites, show the tables, keep the figures as JSON."""

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SUITES = [
    str(HERE / "suites" / f"bench_{name}.py")
    for name in (
        "rows",
        "single",
        "copying",
        "queries",
        "concurrency",
        "writes",
        "pages",
    )
]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, help="rounds of each case (9)")
    parser.add_argument(
        "--quick", action="store_true", help="two rounds of few rows: does it all run?"
    )
    parser.add_argument(
        "--only", metavar="NAME", help="a suite, a case or a contender, by part of it"
    )
    parser.add_argument(
        "--isolated", action="store_true", help="each contender in its own process"
    )
    parser.add_argument(
        "--no-pin", action="store_true", help="let the processes use every processor"
    )
    arguments = parser.parse_args()
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    written = results / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}.json"
    options = [*SUITES, f"--benchmark-json={written}"]
    if arguments.rounds:
        options.append(f"--rounds={arguments.rounds}")
    if arguments.only:
        options += ["-k", arguments.only]
    options += [
        f"--{name.replace('_', '-')}"
        for name in ("quick", "isolated", "no_pin")
        if getattr(arguments, name)
    ]
    code = pytest.main(options)
    if written.exists() and written.stat().st_size:
        print(f"figures: {os.path.relpath(written)}")
    else:
        written.unlink(missing_ok=True)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
