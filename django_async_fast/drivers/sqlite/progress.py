"""SQLite's progress handler: the loop has its turns while a statement runs.

A statement whose task was cancelled meanwhile is ended there.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from ... import bridge
from .turns import Turns

if TYPE_CHECKING:
    from .connection import Connection

# SQLite asks after so many of its steps, the fewest at first: each takes about 50 ns,
# or a millisecond, where it copies a large value.
FEWEST, MOST = 16, 1024
# Seconds between two questions, where steps can be chosen so: at least, and at most.
SOON, LATE = 0.0001, 0.0005

# Seconds that a cancelled statement still has, where to end it would roll back the
# transaction that it is in.
PATIENCE = 5.0


class Pace:
    """After how many of its steps SQLite asks, by the time that they take."""

    __slots__ = ("connection", "since", "steps")

    def __init__(self) -> None:
        self.steps = FEWEST
        # When it has asked last; 0.0 if it has not in this call.
        self.since = 0.0
        # While a call is made.
        self.connection: Connection | None = None

    def begin(self, connection: Connection) -> None:
        """Begin a call."""
        self.connection, self.since = connection, 0.0
        if self.steps != FEWEST:
            self._choose(FEWEST)

    def look_at(self, now: float) -> None:
        """Choose the steps to the next question."""
        since, self.since = self.since, now
        if not since:
            return
        if now - since < SOON:
            if self.steps < MOST:
                self._choose(self.steps * 2)
        elif now - since > LATE and self.steps > FEWEST:
            self._choose(max(self.steps // 8, FEWEST))

    def _choose(self, steps: int) -> None:
        if self.connection is not None:
            self.steps = steps
            self.connection.ask_after(steps)


class Progress:
    """The progress handler of a connection, and why it has ended a statement."""

    __slots__ = ("closing", "end", "failure", "may_end", "pace", "turns")

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.pace = Pace()
        # Whether the statement may be ended for a cancellation.
        self.may_end = True
        # What its task was told while it was stopped.
        self.failure: BaseException | None = None
        # When the statement is ended for that.
        self.end = 0.0
        # Whether the connection is given up.
        self.closing = False

    def __call__(self) -> int:
        """Let the loop have its turn; return 1 where SQLite is to end the statement."""
        try:
            self._have_turn()
        except BaseException as exc:
            # Nothing leaves this: sqlite3 would look at the handler that was replaced.
            self.note_failure(exc, patient=bridge.can_wait())
        return self.ends()

    def ends(self) -> int:
        """Return 1 where SQLite is to end the statement. Called in any thread."""
        if self.failure is not None:
            return int(perf_counter() >= self.end)
        return int(self.closing)

    def _have_turn(self) -> None:
        due, now = self.turns.due, perf_counter()
        self.pace.look_at(now)
        if due is None:  # the loop has had its turn while this one waited for a lock
            self.turns.begin()
        elif now >= due and bridge.can_wait():
            self.turns.wait()
            self.pace.since = perf_counter()

    def note_failure(self, exc: BaseException, patient: bool) -> None:
        """Have the statement ended: at once, or soon if the first one is `patient`."""
        patient = patient and not self.may_end and self.failure is None
        self.end = perf_counter() + PATIENCE if patient else 0.0
        self.failure = self.failure or exc
