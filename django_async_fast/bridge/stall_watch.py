"""In production: name the code that holds up a loop, at no cost to what runs on it.

A thread asks each loop for a sign of life every so often. While there is none it looks
at the frames of the loop's thread. `bridge/stalls.py`, for debug mode, times each step.
"""

from __future__ import annotations

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
from . import greenlets
from .stalls import innermost_own, told

logger = logging.getLogger("django_async_fast")

# Seconds in which the same line is named once.
PAUSE = 60.0
# How often a loop is asked in the time that it may take.
ASKED = 3
# A thread that uses less of a processor than this waits for something.
IDLE = 0.2

_LOCK = type(threading.Lock())


class _Loop:
    """A loop, and the question that it has not answered yet."""

    __slots__ = ("asked", "cpu", "loop", "seen", "stood", "thread")

    def __init__(self, loop: AbstractEventLoop, thread: int) -> None:
        self.loop = loop
        self.thread = thread
        self.asked: float | None = None
        # Where it was seen since, and whether that has been told.
        self.seen: Counter[str] = Counter()
        self.stood = False
        self.cpu = 0.0

    def ask(self, now: float) -> None:
        self.seen.clear()
        self.stood = False
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
_loops: dict[int, _Loop] = {}
_watcher: threading.Thread | None = None
_starting = threading.Lock()
# When each line was told last.
_told: dict[str, float] = {}


def watch(loop: AbstractEventLoop) -> None:
    """Have `loop`, which runs in this thread, watched if STALL_WATCH says so."""
    if conf.get("STALL_WATCH") is None:
        return
    thread = threading.get_ident()
    known = _loops.get(thread)
    if known is None or known.loop is not loop:
        _begin(loop, thread)


def _begin(loop: AbstractEventLoop, thread: int) -> None:
    global _watcher
    with _starting:
        _loops[thread] = _Loop(loop, thread)
        if _watcher is None or not _watcher.is_alive():
            name = "django_async_fast.bridge.stall_watch"
            _watcher = threading.Thread(target=_look_on, name=name, daemon=True)
            _watcher.start()


def _look_on() -> None:
    global _watcher
    while True:
        limit = conf.get("STALL_WATCH")
        with _starting:
            if limit is None or not _loops:
                _loops.clear()
                _watcher = None
                return
        time.sleep(limit / ASKED)
        for each in list(_loops.values()):
            with suppress(RuntimeError):  # it closes at this moment
                _look(each, limit)


def _look(watched: _Loop, limit: float) -> None:
    now = time.monotonic()
    asked = watched.asked
    if watched.loop.is_closed():
        _loops.pop(watched.thread, None)
    elif asked is None:
        watched.ask(now)
    elif not watched.stood and (frame := sys._current_frames().get(watched.thread)):
        own = innermost_own(frame)
        where = told(own or frame)
        watched.seen[where] += 1
        if now - asked >= limit:
            watched.stood = True
            _report(watched, frame, now - asked)


def _report(watched: _Loop, frame: FrameType, stood: float) -> None:
    where = watched.seen.most_common(1)[0][0]
    now = time.monotonic()
    if now - _told.get(where, -PAUSE) < PAUSE:
        return
    _told[where] = now
    lock = ""
    if watched.cpu_time() - watched.cpu < IDLE * stood:
        lock = _held_lock(frame, watched.loop)
    logger.warning(
        "The event loop has stood still for %.3f s: %s.%s Only the database is "
        "awaited: put other slow work into a thread, with @blocking or "
        "sync_to_async().",
        stood,
        where,
        lock,
    )


# ----- a lock that is held over a query


def _held_lock(frame: FrameType, loop: AbstractEventLoop) -> str:
    """Say who holds the lock that `frame` waits for, if a greenlet is seen to."""
    wanted: dict[int, str] = {}
    for inner in _outwards(innermost_own(frame)):
        wanted = dict(_locks(inner))
        if wanted:
            break
    for waiting in greenlets.frames_that_wait(loop):
        for holder in _outwards(waiting):
            for lock, name in _locks(holder):
                if lock in wanted:
                    return (
                        f" It waits for the threading.Lock {name!r}, held over a "
                        f"query by {told(holder)}: neither can go on."
                    )
    return ""


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
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
