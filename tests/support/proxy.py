"""A TCP proxy before the server that misbehaves on command, or at a byte.

    async with Proxy(host, port) as proxy:
        ...                            # connect to 127.0.0.1:proxy.port
        proxy.answers.stall()          # the server has gone silent
        proxy.answers.mute_after(100)  # what comes after 100 bytes is lost

`requests` go to the server, `answers` come from it. Orders hold for connections that
are open and for those to come.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Any

# SO_LINGER with a time of 0: closing sends RST, as a host that has gone does.
_RESET = struct.pack("ii", 1, 0)


class Direction:
    """What flows one way, over all connections of the proxy."""

    def __init__(self) -> None:
        self.bytes = 0
        self.delay = 0.0
        self._open = asyncio.Event()
        self._open.set()
        # Connections from before the last `stall_open()` wait for this.
        self._rejoin = asyncio.Event()
        self._rejoin.set()
        self._stalled = 0
        self._mute_at: int | None = None

    def stall(self) -> None:
        """Hold everything back until `resume()`; connections stay open."""
        self._open.clear()

    def stall_open(self) -> None:
        """The same for the connections that are open now: new ones are served."""
        self._stalled += 1
        self._rejoin.clear()

    def resume(self) -> None:
        self._open.set()
        self._rejoin.set()

    def mute_after(self, count: int) -> None:
        """Let `count` more bytes through, then swallow the rest."""
        self._mute_at = self.bytes + count

    def heal(self) -> None:
        """Take back every order."""
        self.delay, self._mute_at = 0.0, None
        self.resume()

    async def pump(self, source: Any, sink: Any) -> None:
        """Copy until the end."""
        born = self._stalled
        while data := await source.read(65536):
            await self._open.wait()
            if born < self._stalled:
                await self._rejoin.wait()
            if self.delay:
                await asyncio.sleep(self.delay)
            if self._mute_at is not None:
                data = data[: max(self._mute_at - self.bytes, 0)]
            self.bytes += len(data)
            if data:
                sink.write(data)
                await sink.drain()


class Proxy:
    def __init__(self, host: str, port: int) -> None:
        self.target = host, port
        self.requests = Direction()
        self.answers = Direction()
        self.accepted = 0
        self.refusing = False
        self._pairs: dict[asyncio.Task[Any], tuple[Any, Any]] = {}

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        tasks = list(self._pairs)
        self.cut()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def open(self) -> int:
        """Number of connections through the proxy."""
        return len(self._pairs)

    def heal(self) -> None:
        """Take back every order, both ways."""
        self.requests.heal()
        self.answers.heal()

    def cut(self) -> None:
        """Reset every connection now."""
        for writers in self._pairs.values():
            for writer in writers:
                _reset(writer)

    async def _serve(self, reader: Any, writer: Any) -> None:
        self.accepted += 1
        if self.refusing:
            _reset(writer)
            return
        try:
            await self._forward(reader, writer)
        except asyncio.CancelledError:
            # The end of the proxy, or of the loop: before 3.12 a server's task that is
            # cancelled is logged.
            writer.transport.abort()

    async def _forward(self, reader: Any, writer: Any) -> None:
        server_reader, server_writer = await asyncio.open_connection(*self.target)
        task = asyncio.current_task()
        assert task is not None
        self._pairs[task] = writer, server_writer
        pumps = [
            asyncio.ensure_future(self.requests.pump(reader, server_writer)),
            asyncio.ensure_future(self.answers.pump(server_reader, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._end(pumps, writer, server_writer)
            del self._pairs[task]

    async def _end(self, pumps: list[Any], *writers: Any) -> None:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for writer in writers:
            with contextlib.suppress(OSError):
                writer.close()


def _reset(writer: Any) -> None:
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
