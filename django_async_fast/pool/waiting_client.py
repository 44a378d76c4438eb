"""A waiting client of psycopg_pool's queue, woken through a future."""

from asyncio import Future
from time import monotonic

from psycopg_pool import PoolTimeout

from ..drivers.psycopg.session import Session


class WaitingClient:
    """In the place of psycopg_pool's, which is woken through a condition."""

    __slots__ = ("deadline", "future", "left", "timeout")

    def __init__(self, future: Future[Session], timeout: float) -> None:
        self.future = future
        self.timeout = timeout
        self.deadline = monotonic() + timeout
        self.left = False

    async def set(self, session: Session) -> bool:
        return self.serve(session)

    async def fail(self, error: Exception) -> bool:
        return self.refuse(error)

    def serve(self, session: Session) -> bool:
        """Hand `session` over; False where nobody waits for it any more."""
        if self.left or self.future.done():
            return False
        self.future.set_result(session)
        return True

    def refuse(self, error: Exception) -> bool:
        """Raise `error` in who waits; False where nobody does any more."""
        if self.left or self.future.done():
            return False
        self.future.set_exception(error)
        return True

    def give_up(self) -> None:
        """Refuse as psycopg does when the time is up."""
        what = f"couldn't get a connection after {self.timeout:.2f} sec"
        self.refuse(PoolTimeout(what))

    def take_back(self) -> Session | None:
        """Leave for good; return what has been handed over, and was not received."""
        self.left = True
        future = self.future
        if not future.done() or future.cancelled() or future.exception() is not None:
            return None
        return future.result()
