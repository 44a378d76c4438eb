"""A session on the server, from one block to the next."""

from __future__ import annotations

import traceback
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg

from ...unpatched import inside
from ..forks import OfOneProcess, forks
from . import prepared_statements
from .channel import Channel

if TYPE_CHECKING:
    from .connection import Connection


class ServedView:
    """Returns the connection that receives a session's notices, or None."""

    __slots__ = ("view",)
    view: weakref.ref[Connection]

    def __call__(self) -> Connection | None:
        return self.view()


class Session(OfOneProcess, psycopg.AsyncConnection[Any]):
    """A session on the server, as psycopg's pool has it; a block has a view of it.

    The socket stays registered with the loop from one block to the next: that
    costs as much as a statement. Whoever waits or closes without our views, as
    the pool does, must not find it so.
    """

    channel: Channel | None = None
    # The hidden wrapper that was last used over it, with its view, if no other view has
    # been made since.
    spare_wrapper: Any = None
    # What its views are made of: the class that has been asked to connect, and its
    # class of cursors, where these are not psycopg's.
    kind: type[psycopg.Connection[Any]] = psycopg.Connection
    cursor_class: Any = None
    # Whether libpq may still be told to give the next result row by row: it forgets
    # that when a statement is sent, but not when a pipeline's first one is.
    streamed = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.forks = forks()
        self._prepared = prepared_statements.Prepared()
        # As psycopg's, but made once, not for each view.
        self.served = served = ServedView()
        self.handlers = (
            partial(_handle, served, psycopg.Connection._notice_handler),
            partial(_handle, served, psycopg.Connection._notify_handler),
        )

    @classmethod
    async def connect(cls, *args: Any, **kwargs: Any) -> Session:
        """Connect, as psycopg does."""
        try:
            return await _psycopgs_connect()(cls, *args, **kwargs)
        except BaseException as exc:
            # Its frames hold the half-open connection: on the server it would
            # live for as long as somebody here keeps the exception.
            traceback.clear_frames(exc.__traceback__ and exc.__traceback__.tb_next)
            raise

    async def wait(self, *args: Any, **kwargs: Any) -> Any:
        """Wait as psycopg does, which registers the socket itself."""
        self.leave_loop()
        return await super().wait(*args, **kwargs)

    async def close(self) -> None:
        """Close the connection, as psycopg does."""
        self.spare_wrapper = None
        self.leave_loop()
        if not self.inherited:
            await super().close()

    def drop(self) -> None:
        """Close the socket at once, without a word to the server."""
        self.spare_wrapper = None
        self.leave_loop()
        if not self.inherited:
            self.pgconn.finish()

    def leave_loop(self) -> None:
        """Have the loop forget the socket, before its number is another's."""
        if self.channel is not None and not self.inherited:
            self.channel.close()
        self.channel = None


def _handle(served: ServedView, handler: Any, message: Any) -> None:
    """Have the served connection's handlers called, by psycopg's `handler`."""
    view = served()
    channel = None if view is None else view.session.channel
    if channel is None:
        handler(served, message)
    else:
        channel.run_for_waiting(handler, served, message)


def _psycopgs_connect() -> Any:
    """Return `AsyncConnection.connect`, without what stands around it.

    Synchronous code does not connect by it, whoever waits.
    """
    found = vars(psycopg.AsyncConnection)["connect"]
    own = inside(found, psycopg.AsyncConnection, "connect")
    return found.__func__ if own is None else own
