"""`python -m tools.wheels`: the wheels of a release for Linux, in dist/wheels/.

Builds the sdist, and out of it a wheel for each CPython that is here and each target in
`targets.py`, or those that are named. With `--twice` each is built again, and must be
the same to the last bit.
"""

import argparse
import os
import subprocess
import sys
import tomllib
from pathlib import Path

from . import build, check, interpreters
from .targets import PYTHONS, TARGETS

ROOT = Path(__file__).resolve().parents[2]
WORK, DIST = ROOT / "build" / "wheels", ROOT / "dist"
OUT = DIST / "wheels"
VENVS = ROOT / ".venvs"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.wheels")
    parser.add_argument("--python", action="append", choices=PYTHONS)
    platforms = [target.platform for target in TARGETS]
    parser.add_argument("--platform", action="append", choices=platforms)
    parser.add_argument("--twice", action="store_true", help="is it reproducible?")
    arguments = parser.parse_args()
    for folder in (OUT, WORK / "once", WORK / "again"):
        folder.mkdir(parents=True, exist_ok=True)
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    tools = VENVS / "wheels-tools"
    interpreters.environment(Path(sys.executable), tools, *groups["wheels"])
    sdist = _sdist(tools)
    once, again = (
        build.Build(sdist, WORK / name, tools, _date()) for name in ("once", "again")
    )
    done, failed, left_out = 0, 0, []
    for version in arguments.python or PYTHONS:
        found = interpreters.find(version)
        if found is None:
            left_out.append(f"CPython {version}: none is here")
            continue
        needed = (*groups["compile"], "build")
        python = interpreters.environment(found, VENVS / f"wheels-{version}", *needed)
        for target in TARGETS:
            if target.platform not in (arguments.platform or platforms):
                continue
            if lacking := build.missing(target):
                left_out.append(f"{target.platform} of {version}: {lacking}")
                continue
            wheel = once.wheel(python, version, target, OUT)
            faults = list(check.faults(wheel, target))
            if arguments.twice:
                before = check.digest(wheel)
                other = again.wheel(python, version, target, WORK / "again" / "dist")
                if check.digest(other) != before:
                    faults.append(f"built again it is another: {other}")
            done, failed = done + 1, failed + bool(faults)
            print(
                f"{wheel.name}: {wheel.stat().st_size:,} bytes, "
                f"sha256 {check.digest(wheel)[:16]}"
                f"{', twice the same' if arguments.twice and not faults else ''}",
                *(f"  wrong: {fault}" for fault in faults),
                sep="\n",
                flush=True,
            )
    for each in left_out:
        print(f"not built: {each}")
    print(f"{done} wheels in {os.path.relpath(OUT)}, {failed} with faults")
    return int(bool(failed or not done))


def _date() -> str:
    """Return SOURCE_DATE_EPOCH, or else the time of the commit."""
    if said := os.environ.get("SOURCE_DATE_EPOCH"):
        return said
    ask = ["git", "-C", ROOT, "log", "-1", "--format=%ct"]
    done = subprocess.run(ask, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def _sdist(tools: Path) -> Path:
    """Build the sdist, and return it."""
    for old in DIST.glob("*.tar.gz"):
        old.unlink()
    command = [tools / "bin" / "python", "-m", "build", "--sdist", "--outdir", DIST]
    done = subprocess.run([*command, ROOT], text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    (made,) = DIST.glob("*.tar.gz")
    return made


if __name__ == "__main__":
    sys.exit(main())
