"""The process in which contenders run: a turn for each line on standard input."""

import asyncio
import contextvars
import gc
import inspect
import json
import os
import platform
import sys
import sysconfig
import traceback
from collections.abc import Coroutine
from typing import Any

from bench.contenders import Contender, load

from .timed_run import TimedRun


class Worker:
    def __init__(self, hello: dict[str, Any], runner: asyncio.Runner) -> None:
        self.hello = hello
        self.runner = runner
        self.contenders: dict[str, Contender] = {}
        if hello["cpus"]:
            os.sched_setaffinity(0, hello["cpus"])

    def contender(self, name: str) -> Contender:
        if name not in self.contenders:
            made = load(name)(self.hello["dsn"], self.hello["pool_size"])
            self.run(made.open())
            self.contenders[name] = made
        return self.contenders[name]

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it in a context of its own: what it leaves there is nobody else's."""
        self.runner.run(coroutine, context=contextvars.copy_context())

    def take_turn(self, order: dict[str, Any]) -> dict[str, Any]:
        contender = self.contender(order["contender"])
        timed = TimedRun(contender, self.hello["rows"], order["times"], order["verify"])
        timed.related = order["related"]
        method = getattr(contender, order["method"])
        settle()
        if inspect.iscoroutinefunction(method):
            self.run(method(timed))
        else:
            method(timed)
        check_purity(contender)
        return {"seconds": timed.seconds, "cpu_seconds": timed.cpu_seconds}


def settle() -> None:
    """Give every turn the same collector, whatever else lives in the process.

    What there is already is never looked at again; and the last collection, of
    nothing, makes the collector forget how much that was: it decides from the
    number of survivors when to look at everything.
    """
    gc.collect()
    gc.freeze()
    gc.collect()


def check_purity(contender: Contender) -> None:
    """Raise if a process that is there for stock code has something else in it."""
    strangers = getattr(contender, "must_not_import", ())
    if found := [name for name in strangers if name in sys.modules]:
        raise RuntimeError(f"The process has imported {', '.join(found)}.")


def python_build() -> dict[str, Any]:
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    return {
        "version": f"{platform.python_implementation()} {platform.python_version()}",
        "debug": hasattr(sys, "gettotalrefcount"),
        "optimised": "--enable-optimizations" in arguments,
        "lto": "--with-lto" in arguments,
    }


def main() -> None:
    # What contenders print goes to standard error; the answers have a pipe.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=answers, flush=True)

    with asyncio.Runner() as runner:
        worker = Worker(json.loads(sys.stdin.readline()), runner)
        answer({"python": python_build()})
        for line in sys.stdin:
            try:
                answer(worker.take_turn(json.loads(line)))
            except BaseException as exc:
                answer({"error": repr(exc), "traceback": traceback.format_exc()})
                if not isinstance(exc, Exception):
                    raise
        answers.close()
        # Not everybody's pools can be closed in any order.
        os._exit(0)


if __name__ == "__main__":
    main()
