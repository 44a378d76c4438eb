"""Share the suite's labels out over processes, sum up, compare with `stock`."""

import argparse
import json
import os
import subprocess
import sys
import tarfile
import time
from collections import Counter
from pathlib import Path

import django

from tools.conformance import results
from tools.conformance.cluster import DATABASES, has_extras, server_of
from tools.conformance.labels import chosen, named
from tools.conformance.results import CACHE, MODES, ROOT, Report


def main() -> int:
    options = _options()
    tests = suite_folder(django.__version__)
    with server_of(options.database) as (dsn, server):
        print(f"Django {django.__version__}, {server}", flush=True)
        new = [
            _one_mode(tests, dsn, server, mode, options)
            for mode in options.mode.split()
        ]
    return int(any(new))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.conformance")
    parser.add_argument("--mode", default="bridge", help=f"of {' '.join(MODES)}")
    parser.add_argument("--database", default="postgresql", choices=DATABASES)
    parser.add_argument("--parallel", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--tasks", type=int, default=8, help="of concurrent, at once")
    parser.add_argument(
        "labels",
        nargs="*",
        help="Django's test labels, or orm, or requests; default: all of the mode",
    )
    options = parser.parse_args()
    if unknown := set(options.mode.split()) - set(MODES):
        parser.error(f"no such mode: {', '.join(unknown)}; there are {MODES}")
    return options


def suite_folder(version: str) -> Path:
    """Return the tests folder of Django's source distribution, fetched once."""
    tests = CACHE / f"django-{version}" / "tests"
    if not tests.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        download += ["--no-binary", ":all:", "--dest", str(CACHE), f"Django=={version}"]
        subprocess.run(download, check=True)
        with tarfile.open(next(CACHE.glob(f"[dD]jango-{version}.tar.gz"))) as archive:
            archive.extractall(CACHE, filter="data")
    return tests


def _one_mode(
    tests: Path, dsn: str, server: str, mode: str, options: argparse.Namespace
) -> list[str]:
    """Run the labels in `mode`; return the tests that fail here and not in stock."""
    extras = options.database != "postgresql" or has_extras(dsn)
    labels = chosen(tests, options.labels, mode, extras)
    name = named(options.labels, mode)
    report = run(tests, dsn, mode, labels, options.parallel, options.tasks)
    report |= {"django": django.__version__, "mode": mode, "server": server}
    report |= {"labels": name, "only_here": [], "revision": _revision()}
    report |= {"database": options.database}
    _tell(report)
    if mode == "stock":
        results.keep(report)
        return []
    new = results.only_here(report, _stock(tests, dsn, report))
    results.keep(report | {"only_here": new})
    print(f"{mode}: {len(new)} tests fail here and not in stock", flush=True)
    for test in new:
        print(f"  {test}")
    return new


def _revision() -> str:
    """Return which commit of the package ran, with a + where files were changed."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+"]
    try:
        return subprocess.run(
            git, check=True, capture_output=True, text=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""  # not a clone


def _stock(tests: Path, dsn: str, report: Report) -> Report:
    """Return what stock does with the tests that failed.

    On the same server: in a run of all labels that is there, or now, by themselves.
    """
    known = results.last("stock", django.__version__, database=report["database"])
    if known and known["server"] == report["server"]:
        return known
    failed = results.failed(report) - results.exceptions(report["mode"]).keys()
    # A failed setUpClass() and the like are not names of tests.
    names = sorted(test for test in failed if " " not in test)
    return run(tests, dsn, "stock", names, 1) if names else {"outcomes": {}}


def run(
    tests: Path, dsn: str, mode: str, labels: list[str], parallel: int, tasks: int = 1
) -> Report:
    """Run `labels` in `parallel` processes; return outcomes and counts, summed."""
    began = time.monotonic()
    # The slow labels are neighbours in the alphabet: deal them out.
    shards = [labels[i::parallel] for i in range(min(parallel, len(labels)))]
    running = [
        _start(tests, dsn, mode, tasks, i, shard) for i, shard in enumerate(shards)
    ]
    outcomes: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for process, result in running:
        process.wait()
        found = json.loads(result.read_text()) if result.exists() else {}
        if not found:
            print(f"a process ended without a result; see {result.with_suffix('.log')}")
            outcomes[f"process {result.stem}"] = "failed"
        outcomes |= found.get("outcomes", {})
        counts.update(found.get("counts", {}))
    counts.pop("installed", None)
    seconds = round(time.monotonic() - began)
    return {"outcomes": outcomes, "counts": dict(counts), "seconds": seconds}


def _start(
    tests: Path, dsn: str, mode: str, tasks: int, shard: int, labels: list[str]
) -> tuple[subprocess.Popen[bytes], Path]:
    result = CACHE / f"shard-{mode}-{django.__version__}-{shard}.json"
    result.unlink(missing_ok=True)
    environ = os.environ | {
        "DATABASE_URL": dsn,
        "DJANGO_SETTINGS_MODULE": "tools.conformance.suite_settings",
        **({} if "DATABASE_URL" in os.environ else {"CONFORMANCE_THROW_AWAY": "1"}),
        "CONFORMANCE_SHARD": str(shard),
        "CONFORMANCE_RESULT": str(result),
        "PYTHONPATH": str(ROOT),
        **({"CONFORMANCE_FILES": "1"} if mode == "concurrent" else {}),
    }
    at_once = tasks if mode == "concurrent" else 1
    command = [sys.executable, "-m", "tools.conformance.inside", mode]
    command += [f"--parallel={at_once}", "--noinput", *labels]
    with result.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=tests,
            env=environ,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
    return process, result


def _tell(report: Report) -> None:
    sums = Counter(report["outcomes"].values())
    print(
        f"{report['mode']}: {sum(sums.values())} tests in {report['seconds']} s: "
        f"{dict(sums)}"
    )
    for name, count in sorted(report["counts"].items()):
        print(f"  {name}: {count}")
    if report["mode"] == "stock":
        for test in sorted(results.failed(report)):
            print(f"  failed: {test}")


if __name__ == "__main__":
    sys.exit(main())
