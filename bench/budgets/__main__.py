"""`python -m bench.budgets`: is what an operation costs within its budget?

Counts the Python calls of each operation in `CASES` and, with `--instructions`, the
instructions; fails when one is over what `budgets.json` says by more than its margin.
Budgets are of an interpreter and a Django; where there are none, nothing can fail.
`--write` takes what is counted as the new budgets.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.contenders import QUERY_NAMES
from bench.harness.worker import python_build
from bench.shop import dataset
from tools.postgres import database, postgres

from . import instructions

BUDGETS = Path(__file__).with_name("budgets.json")
ROWS = dataset.QUICK_ROWS
MARGIN = 0.02
# How often a socket has to be waited for depends on who is faster.
MARGINS = {"stream": 0.4, "sync_list": 0.5, "page": 0.05}

_QUERIES = [name for name in QUERY_NAMES if name != "never_again"]
# Contender -> its methods.
CASES = {
    "django_async_fast": [
        "empty_block",
        "empty_block__connected",
        "get_by_key",
        "get_by_key__atomic",
        "get_by_key__run_sync",
        "get_by_key__sync",
        *(f"query_{name}" for name in _QUERIES),
        *(f"query_{name}__sync" for name in _QUERIES),
        "stream_instances",
        "stream_instances__atomic",
        "stream_tuples",
        "stream_dicts",
        "sync_list",
    ],
    "pages_fast": [
        *("page_plain", "page_db", "page_fortunes", "page_links", "page_books"),
        "page_site",
    ],
}

Counts = dict[str, float]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.budgets")
    parser.add_argument(
        "--instructions", action="store_true", help="count them too: some minutes"
    )
    parser.add_argument("--write", action="store_true", help="make these the budgets")
    parser.add_argument("--only", default="", metavar="NAME", help="cases, by a part")
    arguments = parser.parse_args()
    os.environ |= {"PYTHONHASHSEED": "0", "DJANGO_ASYNC_FAST_IMPL": "native"}
    budgets = json.loads(BUDGETS.read_text()) if BUDGETS.exists() else {}
    kinds = {"python_calls": calls_key()}
    if arguments.instructions:
        if lacking := instructions.missing():
            print(f"Instructions are not counted: there is no {lacking}.")
        else:
            kinds["instructions"] = build_key()
    failed = False
    for kind, key in kinds.items():
        counts = count(kind, arguments.only)
        known = budgets.setdefault(kind, {}).setdefault(key, {})
        if arguments.write:
            known |= counts
            continue
        failed |= compare(kind, key, known, counts)
    if arguments.write:
        BUDGETS.write_text(json.dumps(budgets, indent=1, sort_keys=True) + "\n")
    return int(failed)


def calls_key() -> str:
    python = ".".join(platform.python_version_tuple()[:2])
    django = ".".join(version("Django").split(".")[:2])
    return f"{platform.python_implementation()} {python}, Django {django}"


def build_key() -> str:
    """Return what instructions depend on: other builds run others."""
    build = python_build()
    how = "optimised" if build["optimised"] else "not optimised"
    return (
        f"{build['version']}, {how}, {platform.python_compiler()}, "
        f"{platform.machine()}, Django {version('Django')}"
    )


def count(kind: str, only: str) -> Counts:
    """Return case -> how many of `kind` one operation takes."""
    found: Counts = {}
    with postgres() as dsn, database(dsn, "django_async_fast_budgets") as dsn:
        dataset.create(dsn, ROWS)
        for contender, names in CASES.items():
            cases = [name for name in names if only in name]
            if cases:
                found |= _counted(kind, [dsn, str(ROWS), contender, *cases])
    return found


def _counted(kind: str, arguments: list[str]) -> Counts:
    ask = [sys.executable, "-m", "bench.budgets.counting_run", *arguments]
    if kind == "python_calls":
        return _answer(ask, {})
    with instructions.command() as (before, environment):
        return _answer([*before, *ask], environment)


def _answer(ask: list[str], environment: dict[str, str]) -> Any:
    done = subprocess.run(
        ask, env=os.environ | environment, stdout=subprocess.PIPE, check=True
    )
    return {name: round(each, 2) for name, each in json.loads(done.stdout).items()}


def compare(kind: str, key: str, known: Counts, counts: Counts) -> bool:
    """Print what is not as the budgets say; return whether something costs more."""
    what = kind.replace("_", " ")
    if not known:
        print(f"There are no budgets of {what} for {key}.")
        return False
    over = list(_differing(known, counts, +1))
    under = list(_differing(known, counts, -1))
    for title, lines in (("over", over), ("under", under)):
        for name, is_now, was in lines:
            print(f"{title} budget: {name}: {is_now:,.10g} {what}, {was:,.10g} before")
    new = [name for name in counts if name not in known]
    if new:
        print(f"without a budget: {', '.join(new)}")
    print(f"{len(counts)} operations, {len(over)} over their budget of {what} ({key})")
    if over or under or new:
        at = os.path.relpath(BUDGETS)
        print(f"If that is meant, `make bench-budgets` writes it to {at}.")
    return bool(over)


def _differing(
    known: Counts, counts: Counts, sign: int
) -> Iterator[tuple[str, float, float]]:
    for name, is_now in counts.items():
        was = known.get(name)
        if was is not None and sign * (is_now - was) > was * margin(name):
            yield name, is_now, was


def margin(name: str) -> float:
    found = (value for start, value in MARGINS.items() if name.startswith(start))
    return next(found, MARGIN)


if __name__ == "__main__":
    sys.exit(main())
