"""A record of one run: what pytest-benchmark wrote, without what nobody compares."""

import re
import subprocess
from statistics import quantiles
from typing import Any

SUITE = re.compile(r"bench_(\w+)\.py")

Record = dict[str, Any]
# Lower quartile, median and upper quartile, in us.
Figure = tuple[float, float, float]


def of_run(run: dict[str, Any]) -> Record:
    """Return the record of a run in pytest-benchmark's format."""
    machine, commit = run["machine_info"], run["commit_info"]
    facts = machine["bench"]
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
        "server": facts.get("server", ""),
        "versions": facts["versions"],
        "build": facts.get("compiled_parts", {}),
        "rounds": run["benchmarks"][0]["stats"]["rounds"] if run["benchmarks"] else 0,
        "rows": facts.get("rows", 0),
        "load": facts.get("load_average", [None])[0],
        "cases": _cases(run["benchmarks"]),
    }


def _cases(benchmarks: list[Any]) -> dict[str, Any]:
    cases: dict[str, Any] = {}
    for each in benchmarks:
        info = each["extra_info"]
        if "entrants" in info:
            # Of the fixtures: both sides in one.
            name, title, entrants = info["case"], each["name"], info["entrants"]
        elif found := SUITE.search(each["fullname"]):
            # Of the package's own benchmarks: one for each contender.
            ((contender, method),) = each["params"].values()
            case = each["name"].partition("[")[0].removeprefix("test_")
            entrant = contender + method.removeprefix(case).replace("__", ":", 1)
            name, title = f"{found[1]}/{case}", each["group"]
            both = {"cpu": info["cpu_seconds"], "wall": each["stats"]["data"]}
            entrants = {entrant: both}
        else:
            continue
        empty = {"title": title, "per": info["per"], "cpu": {}, "wall": {}}
        entry = cases.setdefault(name, empty)
        for entrant, clocks in entrants.items():
            for clock in ("cpu", "wall"):
                entry[clock][entrant] = _figure(clocks[clock])
    return cases


def _figure(seconds: list[float]) -> Figure:
    if len(seconds) < 2:
        seconds = seconds * 2
    low, middle, high = quantiles([each * 1e6 for each in seconds], method="inclusive")
    return float(f"{low:.4g}"), float(f"{middle:.4g}"), float(f"{high:.4g}")


def _subject(commit: str) -> str:
    ask = ["git", "log", "-1", "--format=%s", commit]
    try:
        done = subprocess.run(  # noqa: S603 - the id is from the user's own file
            ask, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


def kind(record: Record) -> str:
    """Return what must be the same for two records to be compared."""
    machine = record["machine"]
    python = machine["python"].rpartition(".")[0]
    how = "" if machine["optimised"] else ", not optimised"
    return f"{machine['processor']} x {machine['count']}, {python}{how}"
