"""Where the user's code is, among the frames of Django, asyncio and this package."""

import sys
from types import FrameType

from .caller import awaiting_frame

# Modules whose frames are not the user's.
MACHINERY = (
    "asgiref.",
    "asyncio.",
    "contextlib",
    "django.",
    "django_async_fast.",
    "psycopg.",
)

Place = tuple[str, int] | None


def place(depth: int = 0) -> Place:
    """Return file and line of the user's code that is running, or None.

    That many callers of the caller are known not to be the user's: each frame that is
    looked at has to be made.
    """
    return place_of(sys._getframe(depth + 1)) or place_of(awaiting_frame())


def place_of(frame: FrameType | None) -> Place:
    """Return file and line of the user's innermost frame, from `frame` outwards."""
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith(MACHINERY):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return None


def module_of(frame: FrameType) -> str:
    """Return the name of the module whose code `frame` runs, or ''."""
    return str(frame.f_globals.get("__name__", ""))


def in_one_line(text: str) -> str:
    """Return `text` as Django writes paths to a log: a line break begins no line."""
    return text.encode("unicode_escape").decode("ascii")


def describe(where: Place) -> str:
    """Return `where` for a message."""
    return f"{where[0]}:{where[1]}" if where else "an unknown place"
