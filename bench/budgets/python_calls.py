"""How many Python functions are entered, and coroutines gone on with."""

import asyncio
import selectors
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType

# The event loop's own code.
LOOP = (*asyncio.__path__, selectors.__file__)


class Counted:
    """What was counted; a generator or coroutine that goes on counts as a call."""

    count = 0


if sys.version_info >= (3, 12):
    _events = sys.monitoring.events

    @contextmanager
    def counted(left_out: tuple[str, ...] = ()) -> Iterator[Counted]:
        """Count the calls of all threads and greenlets while it is entered.

        `left_out`: of files that begin so, none.
        """
        calls = Counted()

        def call(code: CodeType, offset: int) -> None:
            if not code.co_filename.startswith(left_out):
                calls.count += 1

        tool = sys.monitoring.PROFILER_ID
        sys.monitoring.use_tool_id(tool, "django-async-fast budgets")
        for event in (_events.PY_START, _events.PY_RESUME):
            sys.monitoring.register_callback(tool, event, call)
        sys.monitoring.set_events(tool, _events.PY_START | _events.PY_RESUME)
        try:
            yield calls
        finally:
            sys.monitoring.set_events(tool, 0)
            sys.monitoring.free_tool_id(tool)

else:

    @contextmanager
    def counted(left_out: tuple[str, ...] = ()) -> Iterator[Counted]:
        """Count the calls of this thread and its greenlets while it is entered."""
        calls = Counted()

        def profile(frame: FrameType, event: str, argument: object) -> None:
            file = frame.f_code.co_filename
            if event == "call" and not file.startswith(left_out):
                calls.count += 1

        sys.setprofile(profile)
        try:
            yield calls
        finally:
            sys.setprofile(None)
