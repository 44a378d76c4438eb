"""A test runner that writes down what became of each test."""

import json
import os
from collections import Counter
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from django.test.runner import DiscoverRunner

outcomes: dict[str, str] = {}
counts: Counter[str] = Counter()
# The test in progress, in its context.
running: ContextVar[Any] = ContextVar("conformance_running", default=None)
# Which of the workers of `concurrent` the context belongs to; 0 is none of them.
worker: ContextVar[int] = ContextVar("conformance_worker", default=0)


def _noting(name: str, outcome: str) -> Any:
    """Return unittest's method of that name, which notes the outcome of a test."""

    def add(self: Any, test: Any, *args: Any) -> None:
        self._note(test, outcome)
        getattr(super(_Recording, self), name)(test, *args)

    return add


class _Recording:
    """Mixed into unittest's result class."""

    def startTest(self, test: Any) -> None:
        running.set(test)
        super().startTest(test)  # type: ignore[misc]

    def _note(self, test: Any, outcome: str) -> None:
        # A failing subtest decides, whatever comes after it.
        if outcomes.get(test.id()) != "failed":
            outcomes[test.id()] = outcome

    addSuccess = _noting("addSuccess", "passed")
    addError = _noting("addError", "failed")
    addFailure = _noting("addFailure", "failed")
    addSkip = _noting("addSkip", "skipped")
    addExpectedFailure = _noting("addExpectedFailure", "expected failure")
    addUnexpectedSuccess = _noting("addUnexpectedSuccess", "failed")

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self._note(test, "failed")
        super().addSubTest(test, subtest, err)  # type: ignore[misc]


class RecordingRunner(DiscoverRunner):
    """Django's runner; results go to the file that CONFORMANCE_RESULT names."""

    def get_resultclass(self) -> Any:
        from unittest import TextTestResult

        base = super().get_resultclass() or TextTestResult
        return type("RecordingResult", (_Recording, base), {})

    def teardown_databases(self, old_config: Any, **kwargs: Any) -> None:
        # They go with their server, which is faster than dropping them.
        if "CONFORMANCE_THROW_AWAY" not in os.environ:
            super().teardown_databases(old_config, **kwargs)

    def run_suite(self, suite: Any, **kwargs: Any) -> Any:
        result = super().run_suite(suite, **kwargs)
        if counts["installed"]:
            from django_async_fast.querysets.compiled.tree import cache_info

            counts["statements known from before"] = cache_info().hits
        report = {"outcomes": outcomes, "counts": dict(counts)}
        Path(os.environ["CONFORMANCE_RESULT"]).write_text(json.dumps(report))
        return result
