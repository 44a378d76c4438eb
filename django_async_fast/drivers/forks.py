"""Which process has opened a connection: a child that was forked leaves it alone."""

import os

# How often this process, and those it comes from, have been forked. To ask the
# system for its number at every statement costs a system call.
_forks = 0


def _forked() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_forked)


def forks() -> int:
    """Return the number that tells this process from those it was forked from."""
    return _forks


class OfOneProcess:
    """Mixed into what only the process may use that has made it."""

    __slots__ = ()

    # What `forks()` was then.
    forks: int

    @property
    def inherited(self) -> bool:
        """Whether this process was forked since: it is the parent's."""
        return self.forks != _forks
