"""What a child process has to know about a tool."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from tests.beside import library
from tests.beside.ways import Way, run
from tests.support.programs import Program

BEFORE = "before setup"
AFTER = "after setup"
LATE = "after some queries"
MOMENTS = (BEFORE, AFTER, LATE)


class Tool:
    """A package of somebody else's. Each file in tools/ has a subclass or more."""

    # What is imported of it, to know whether it is there.
    package: str
    # When hook() is called. Most tools with an app of theirs hook themselves in.
    moments: Sequence[str] = (BEFORE,)
    # Whether the program runs in a view.
    in_a_request = False

    settings: dict[str, Any] = {}
    apps: Sequence[str] = ()
    ours_first = False
    # Our middleware, where it is needed, is outside of these.
    middleware: Sequence[str] = ()
    urls: Sequence[tuple[str, str]] = ()
    engine = "django.db.backends.postgresql"
    # Of the database, in its settings.
    options: dict[str, Any] = {}

    program: Program = staticmethod(library.program)

    def prepare(self) -> None:
        """Write what every run finds in the database, once, in stock Django."""
        library.prepare()

    def hook(self) -> None:
        """Start the tool, as its documentation says."""

    def run(self, way: Way) -> Any:
        """Run the program; return what its steps returned."""
        if self.in_a_request:
            from tests.beside.served import request

            return request(way, self.program)
        return run(way, self.program)

    def watching(self) -> AbstractContextManager[Any]:
        """Return what is around the program, outside of request and block."""
        return nullcontext()

    def seen(self) -> Any:
        """Return what a user of the tool would look at; JSON takes it."""
        raise NotImplementedError
