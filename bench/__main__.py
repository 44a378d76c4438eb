"""`python -m bench`: run the suites, show the tables, keep the figures as JSON."""

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
NAMES = "rows", "single", "copying", "queries", "concurrency", "writes", "pages"
SUITES = [str(HERE / "suites" / f"bench_{name}.py") for name in NAMES]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        epilog="The rest is pytest's, which has --rounds N, --quick, --isolated and "
        "--no-pin of bench/conftest.py.",
    )
    parser.add_argument(
        "--only", metavar="NAME", help="a suite, a case or a contender, by part of it"
    )
    arguments, rest = parser.parse_known_args()
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    written = results / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}.json"
    options = [*SUITES, f"--benchmark-json={written}", *rest]
    if arguments.only:
        options += ["-k", arguments.only]
    code = pytest.main(options)
    if written.exists() and written.stat().st_size:
        print(f"figures: {os.path.relpath(written)}")
    else:
        written.unlink(missing_ok=True)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
