"""What the doctor finds: a line, how bad it is, and the remedy."""

from collections.abc import Iterable
from typing import NamedTuple

OK = "ok"
# Works, but not as well as it could, or not everywhere.
NOTE = "note"
# Fails, or will: the exit code says so.
PROBLEM = "problem"


class Finding(NamedTuple):
    """One line of the report."""

    level: str
    text: str
    remedy: str = ""


def ok(text: str) -> Finding:
    """Return a finding about something that is as it should be."""
    return Finding(OK, text)


def note(text: str, remedy: str = "") -> Finding:
    """Return a finding about something that could be better."""
    return Finding(NOTE, text, remedy)


def problem(text: str, remedy: str) -> Finding:
    """Return a finding about something that fails."""
    return Finding(PROBLEM, text, remedy)


# So many names are listed.
_MOST = 8


def listed(names: Iterable[str]) -> str:
    """Return `names` in words, not too many of them."""
    names = sorted(names)
    more = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {more} more" if more > 0 else "")


def first_line(exc: BaseException) -> str:
    """Return the first line of an error's message, or ''."""
    return next(iter(str(exc).splitlines()), "")
