"""In production: name the code that holds up a loop, at no cost to what runs on it.

A thread looks every so often whether bridged calls of a loop have gone on since; where
none has, it asks the loop for a sign of life. While there is none it looks at the
frames of the loop's thread. `bridge/stalls.py`, for debug mode, times each step.
"""

import logging
import os
import sys
import threading
import time
from asyncio import AbstractEventLoop
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType
from typing import Any

from .. import conf
from .frames import waiting_frames
from .stalls import describe_frame, innermost_own
from .workers import BRIDGE

logger = logging.getLogger("django_async_fast")

# Seconds from one report of a line to the next.
REPORT_INTERVAL = 60.0
# How often a loop is asked for a sign of life in the time that it may take.
ASKS_PER_LIMIT = 3
# A thread that uses less of a processor than this waits for something.
IDLE_CPU_SHARE = 0.2

_LOCK = type(threading.Lock())


class _WatchedLoop:
    """A loop, and the question that it has not answered yet."""

    __slots__ = (
        *("asked", "counted", "cpu", "loop", "seen", "stalled", "steps", "thread"),
    )

    def __init__(self, loop: AbstractEventLoop, thread: int) -> None:
        self.loop = loop
        self.thread = thread
        # Whose steps the core counts, and how many there were at the last look.
        self.counted = BRIDGE and BRIDGE.count_steps()
        self.steps = 0
        self.asked: float | None = None
        # Where it was seen since, and whether that has been reported.
        self.seen: Counter[str] = Counter()
        self.stalled = False
        self.cpu = 0.0

    def has_gone_on(self) -> bool:
        """Tell whether a bridged call has since the last time, as far as is known."""
        if not BRIDGE or BRIDGE.counted != self.counted:
            return False  # the core counts the steps of one loop
        before, self.steps = self.steps, BRIDGE.steps
        return self.steps != before

    def ask(self, now: float) -> None:
        self.seen.clear()
        self.stalled = False
        self.cpu = self.cpu_time()
        self.asked = now
        self.loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self.asked = None

    def cpu_time(self) -> float:
        """Return the processor time that its thread has used; 0.0 where unknown."""
        try:
            clock = time.pthread_getcpuclockid(self.thread)
            return time.clock_gettime(clock)
        except (AttributeError, OSError):
            return 0.0


# By thread.
_loops: dict[int, _WatchedLoop] = {}
_watcher: threading.Thread | None = None
_starting = threading.Lock()
# When each line was reported last.
_reported: dict[str, float] = {}


def watch(loop: AbstractEventLoop) -> None:
    """Have `loop`, which runs in this thread, watched if STALL_WATCH says so."""
    if conf.get("STALL_WATCH") is None:
        return
    thread = threading.get_ident()
    known = _loops.get(thread)
    if known is None or known.loop is not loop:
        _watch_loop(loop, thread)


def _watch_loop(loop: AbstractEventLoop, thread: int) -> None:
    global _watcher
    with _starting:
        _loops[thread] = _WatchedLoop(loop, thread)
        if _watcher is None or not _watcher.is_alive():
            name = "django_async_fast.bridge.stall_watch"
            _watcher = threading.Thread(target=_watch, name=name, daemon=True)
            _watcher.start()


def _watch() -> None:
    global _watcher
    while True:
        limit = conf.get("STALL_WATCH")
        with _starting:
            if limit is None or not _loops:
                _loops.clear()
                _watcher = None
                return
        time.sleep(limit / ASKS_PER_LIMIT)
        for each in list(_loops.values()):
            with suppress(RuntimeError):  # it closes at this moment
                _sample(each, limit)


def _sample(watched: _WatchedLoop, limit: float) -> None:
    now = time.monotonic()
    asked = watched.asked
    if watched.loop.is_closed():
        _loops.pop(watched.thread, None)
    elif asked is None:
        if not watched.has_gone_on():
            watched.ask(now)
    elif not watched.stalled and (frame := sys._current_frames().get(watched.thread)):
        own = innermost_own(frame)
        where = describe_frame(own or frame)
        watched.seen[where] += 1
        if now - asked >= limit:
            watched.stalled = True
            _report(watched, frame, now - asked)


def _report(watched: _WatchedLoop, frame: FrameType, stalled: float) -> None:
    where = watched.seen.most_common(1)[0][0]
    now = time.monotonic()
    if now - _reported.get(where, -REPORT_INTERVAL) < REPORT_INTERVAL:
        return
    _reported[where] = now
    lock = ""
    if watched.cpu_time() - watched.cpu < IDLE_CPU_SHARE * stalled:
        lock = _held_lock(frame, watched.loop)
    logger.warning(
        "The event loop has stood still for %.3f s: %s.%s Only the database is "
        "awaited: put other slow work into a thread, with @blocking or "
        "sync_to_async().",
        stalled,
        where,
        lock,
    )


# ----- a lock that is held over a query


def _held_lock(frame: FrameType, loop: AbstractEventLoop) -> str:
    """Say who holds the lock that `frame` waits for, if a greenlet is seen to."""
    wanted: dict[int, str] = {}
    for inner in _users_frames(innermost_own(frame)):
        wanted = dict(_locks(inner))
        if wanted:
            break
    for waiting in waiting_frames(loop):
        for holder in _users_frames(waiting):
            for lock, name in _locks(holder):
                if lock in wanted:
                    return (
                        f" It waits for the threading.Lock {name!r}, held over a "
                        f"query by {describe_frame(holder)}: neither can go on."
                    )
    return ""


def _users_frames(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield the user's frames from `frame` outwards."""
    while (frame := innermost_own(frame)) is not None:
        yield frame
        frame = frame.f_back


def _locks(frame: FrameType) -> Iterator[tuple[int, str]]:
    """Yield identity and name of the locked locks that the code of `frame` names."""
    names = frame.f_code.co_names
    values: dict[str, Any] = dict(frame.f_locals)
    values |= {name: frame.f_globals[name] for name in names if name in frame.f_globals}
    for name, value in values.items():
        inside = getattr(value, "__dict__", {})
        found = {f"{name}.{each}": inside[each] for each in names if each in inside}
        for known, lock in ({name: value} | found).items():
            if type(lock) is _LOCK and lock.locked():
                yield id(lock), known


def _forked() -> None:
    global _watcher, _starting
    _watcher, _starting = None, threading.Lock()
    _loops.clear()


os.register_at_fork(after_in_child=_forked)
