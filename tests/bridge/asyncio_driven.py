"""CPython's own tests of asyncio, with every coroutine that a Runner runs driven.

    python -m tests.bridge.asyncio_driven test_taskgroups test_timeouts

prints the number of tests, of driven coroutines, and what failed; MODE=plain leaves
asyncio as it is.
"""

import asyncio
import inspect
import json
import os
import sys
import unittest
import warnings
from pathlib import Path
from typing import Any

from django_async_fast import bridge


def main(modules: list[str]) -> None:
    driven = 0
    plain = asyncio.Runner.run

    def run(self: asyncio.Runner, coro: Any, **options: Any) -> Any:
        nonlocal driven
        if not inspect.iscoroutine(coro):
            return plain(self, coro, **options)
        driven += 1
        return plain(self, bridge.run(bridge.drive, coro), **options)

    if os.environ.get("MODE") != "plain":
        asyncio.Runner.run = run  # type: ignore[method-assign]
    warnings.simplefilter("ignore")
    names = [f"test.test_asyncio.{module}" for module in modules]
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    with Path(os.devnull).open("w") as nowhere:
        result = unittest.TextTestRunner(stream=nowhere).run(suite)
    failed = [(str(test), text) for test, text in result.failures + result.errors]
    report = {"tests": result.testsRun, "driven": driven, "failed": failed}
    sys.__stdout__.write(json.dumps(report))
    sys.__stdout__.flush()
    os._exit(0)  # some leave threads behind


if __name__ == "__main__":
    main(sys.argv[1:])
