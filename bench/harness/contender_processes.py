"""The processes of the contenders, seen from the one that gives them turns."""

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from bench.contenders import load

TURN_TIMEOUT = 300.0


class Failed(Exception):
    """A contender's turn failed; the message is its traceback."""


class ContenderProcesses:
    """Starts a process when the first of its contenders has a turn."""

    def __init__(
        self, dsn: str, rows: int, pool_size: int, cpus: list[int], isolated: bool
    ) -> None:
        self.hello = {"dsn": dsn, "rows": rows, "pool_size": pool_size, "cpus": cpus}
        self.isolated = isolated
        self.python: dict[str, Any] = {}
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def take_turn(self, contender: str, **order: Any) -> tuple[float, float]:
        """Return the turn's seconds, and those of processor time. Raises Failed."""
        name = contender if self.isolated else load(contender).process
        process = self._process(name)
        try:
            answer = self._ask(process, {"contender": contender, **order})
        except Failed:
            self._end(name)
            raise
        if "error" in answer:
            raise Failed(answer["traceback"])
        return float(answer["seconds"]), float(answer["cpu_seconds"])

    def close(self) -> None:
        for name in list(self._processes):
            self._end(name)

    def _process(self, name: str) -> subprocess.Popen[str]:
        if name not in self._processes:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "bench.harness.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"PYTHONHASHSEED": "0"},
            )
            self.python = self._ask(self._processes[name], self.hello)["python"]
        return self._processes[name]

    def _ask(self, process: subprocess.Popen[str], message: dict[str, Any]) -> Any:
        try:
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise Failed("The contender's process is gone.") from None
        if not select.select([process.stdout], [], [], TURN_TIMEOUT)[0]:
            raise Failed(f"No answer in {TURN_TIMEOUT:g} s.")
        line = process.stdout.readline()
        if not line:
            raise Failed("The contender's process has ended.")
        return json.loads(line)

    def _end(self, name: str) -> None:
        process = self._processes.pop(name)
        process.kill()
        process.communicate()


def split_cpus() -> tuple[set[int], set[int]]:
    """Return the processors for the server and those for the contenders.

    Both empty where processes cannot be pinned, or there is only one processor.
    """
    if not hasattr(os, "sched_getaffinity"):
        return set(), set()
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        return set(), set()
    middle = len(cpus) // 2
    return set(cpus[:middle]), set(cpus[middle:])


@contextlib.contextmanager
def pinned(cpus: set[int]) -> Iterator[None]:
    """Pin this process, and those it starts meanwhile."""
    if not cpus:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
