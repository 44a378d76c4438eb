"""A record of one run: what pytest-benchmark wrote, without what nobody compares."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from statistics import quantiles
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HISTORY = ROOT / "bench" / "history"
SUITE = re.compile(r"bench_(\w+)\.py")

Record = dict[str, Any]
# Lower quartile, median and upper quartile, in us.
Figure = tuple[float, float, float]


def of_run(run: dict[str, Any]) -> Record:
    """Return the record of a run in pytest-benchmark's format."""
    machine, commit = run["machine_info"], run["commit_info"]
    facts = machine["bench"]
    cases: dict[str, Any] = {}
    for each in run["benchmarks"]:
        found = SUITE.search(each["fullname"])
        if found is None:
            continue
        name, method = each["params"]["race"]
        case = each["name"].partition("[")[0].removeprefix("test_")
        entrant = name + method.removeprefix(case).replace("__", ":", 1)
        entry = cases.setdefault(
            f"{found[1]}/{case}",
            {
                "title": each["group"],
                "per": each["extra_info"]["per"],
                "cpu": {},
                "wall": {},
            },
        )
        entry["cpu"][entrant] = _figure(each["extra_info"]["cpu_seconds"])
        entry["wall"][entrant] = _figure(each["stats"]["data"])
    return {
        "commit": commit["id"],
        "dirty": bool(commit.get("dirty")),
        "subject": _subject(commit["id"]),
        "date": run["datetime"][:19],
        "machine": {
            "processor": machine["cpu"].get("brand_raw", machine["machine"]),
            "count": machine["cpu"].get("count", 0),
            "system": f"{machine['system']} {machine['machine']}",
            "python": facts["python"]["version"],
            "optimised": facts["python"]["optimised"],
        },
        "server": facts["server"],
        "versions": facts["versions"],
        "build": facts["compiled_parts"],
        "rounds": facts["rounds"],
        "rows": facts["rows"],
        "load": facts["load_average"][0],
        "cases": cases,
    }


def _figure(seconds: list[float]) -> Figure:
    if len(seconds) < 2:
        seconds = seconds * 2
    low, middle, high = quantiles([each * 1e6 for each in seconds], method="inclusive")
    return float(f"{low:.4g}"), float(f"{middle:.4g}"), float(f"{high:.4g}")


def _subject(commit: str) -> str:
    ask = ["git", "-C", ROOT, "log", "-1", "--format=%s", commit]
    done = subprocess.run(ask, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def kind(record: Record) -> str:
    """Return what must be the same for two records to be compared."""
    machine = record["machine"]
    python = machine["python"].rpartition(".")[0]
    how = "" if machine["optimised"] else ", not optimised"
    return f"{machine['processor']} x {machine['count']}, {python}{how}"


def save(record: Record, at: Path = HISTORY) -> Path:
    at.mkdir(exist_ok=True)
    name = f"{record['date'].replace(':', '-')}-{record['commit'][:9]}.json"
    text = json.dumps(record, indent=None, separators=(",", ":"))
    # A line for each case: git shows what is new.
    written = at / name
    written.write_text(re.sub(r'("\w+/\w+":\{"title")', r"\n\1", text) + "\n")
    return written


def load(at: Path = HISTORY) -> list[Record]:
    """Return all records, the oldest first."""
    return [json.loads(path.read_text()) for path in sorted(at.glob("*.json"))]
