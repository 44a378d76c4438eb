"""The whole examination, in the order in which a remedy helps what comes after it."""

from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from typing import TextIO

from .findings import NOTE, OK, PROBLEM, Finding, problem

_MARKS = {OK: "ok", NOTE: "note", PROBLEM: "PROBLEM"}
_WIDTH = max(map(len, _MARKS.values()))
# Title -> module. Views import what the last two look at.
_OF_PROJECT = {
    "Project": "project",
    "Databases": "databases",
    "Requests": "entry_points",
    "Models": "models",
    "Hooks of other tools": "hooks",
    "Thread-locals and locks": "module_state",
}


def examine(out: TextIO, with_project: bool = True) -> int:
    """Write what is found to `out`; return 1 if there is a problem, else 0.

    Without a project, whose settings must be ready, only what is installed.
    """
    levels: Counter[str] = Counter()
    for title, module in ({"Installed": "installed"} | _OF_PROJECT).items():
        out.write(f"\n{title}\n")
        for level, text, remedy in _asked(module):
            levels[level] += 1
            out.write(f"  {_MARKS[level]:<{_WIDTH}}  {text}\n")
            if remedy:
                out.write(f"  {'':<{_WIDTH}}  -> {remedy}\n")
        if not with_project:
            break
    out.write(f"\n{levels[PROBLEM]} problems, {levels[NOTE]} notes\n")
    return 1 if levels[PROBLEM] else 0


def _asked(module: str) -> Iterator[Finding]:
    """Yield the findings; what is broken so badly that asking fails is one."""
    try:
        # Not before: in a broken environment some cannot be imported.
        yield from import_module(f".{module}", __package__).findings()
    except Exception as exc:
        yield problem(f"cannot be examined: {exc!r}", "mend that first")
