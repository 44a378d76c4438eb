"""In debug mode: name the code that holds up the event loop.

From one wait to the next, synchronous code has the loop's thread for itself.
Which line takes the time can only be seen meanwhile: a thread looks at the
loop's frames every so often while a step goes on, and sleeps otherwise.
"""

import logging
import sys
import sysconfig
import threading
import time
from asyncio import AbstractEventLoop
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

from .. import conf
from . import users_code, workers

logger = logging.getLogger("django_async_fast")

# Seconds from one look at the steps in progress to the next.
INTERVAL = 0.02

# Code that is not the user's.
_PATHS = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
_LIBRARY = ("<frozen ", *_PATHS)


class _Step:
    """What one thread runs on the bridge, until it waits or ends."""

    __slots__ = ("began", "limit", "seen")

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.seen: Counter[str] = Counter()
        self.began = time.monotonic()


# By thread.
_steps: dict[int, _Step] = {}
_step_began = threading.Event()
_watcher: threading.Thread | None = None
_starting = threading.Lock()


def watch() -> None:
    """Have the bridge's steps timed, from now on, wherever debug mode is on."""
    global _watcher
    workers.timed_step = _timed
    with _starting:
        if _watcher is None or not _watcher.is_alive():  # not in a forked child
            name = "django_async_fast.bridge.stalls"
            _watcher = threading.Thread(target=_watch, name=name, daemon=True)
            _watcher.start()


def _timed(loop: AbstractEventLoop, step: Callable[..., Any], *args: Any) -> Any:
    if not conf.debugging(loop):
        return step(*args)
    thread = threading.get_ident()
    before = _steps.get(thread)
    now = _steps[thread] = _Step(loop.slow_callback_duration)
    _step_began.set()
    try:
        return step(*args)
    finally:
        if before is None:
            del _steps[thread]
        else:
            _steps[thread] = before
        took = time.monotonic() - now.began
        if took >= now.limit:
            _report(now, took)


def _watch() -> None:
    while _step_began.wait():
        _step_began.clear()
        while going_on := list(_steps.items()):
            time.sleep(INTERVAL)
            for thread, step in going_on:
                _sample(thread, step)


def _sample(thread: int, step: _Step) -> None:
    frame = sys._current_frames().get(thread)
    if frame is None:
        return
    where = describe_frame(frame)
    own = innermost_own(frame)
    if own is not None and own is not frame:
        where = f"{describe_frame(own)}, in {where}"
    if _steps.get(thread) is step:  # still: so it was this step's frame
        step.seen[where] += 1


def innermost_own(frame: FrameType | None) -> FrameType | None:
    """Return the innermost frame of the user's code, or None."""
    while frame is not None:
        machinery = users_code.module_of(frame).startswith(users_code.MACHINERY)
        if not machinery and not frame.f_code.co_filename.startswith(_LIBRARY):
            return frame
        frame = frame.f_back
    return None


def describe_frame(frame: FrameType) -> str:
    """Return what a message calls `frame`: its function, file and line."""
    code = frame.f_code
    return f"{code.co_qualname} ({code.co_filename}:{frame.f_lineno})"


def _report(step: _Step, took: float) -> None:
    # Nothing is seen of what lets no other thread run, the watcher neither.
    where = step.seen.most_common(1) or [("code that holds the GIL", 1)]
    logger.warning(
        "The event loop stood still for %.3f s: %s, under the await at %s. Only the "
        "database is awaited. Put other slow work into sync_to_async(), and read large "
        "results in pieces: aiterator(), achunks().",
        took,
        where[0][0],
        users_code.describe(users_code.place()),
    )
