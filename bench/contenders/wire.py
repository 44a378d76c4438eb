"""The wire: the same bytes, received and dropped. Nobody can be faster than that."""

import re
import socket
import struct
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from bench.contenders import Contender
from bench.harness.timed_run import TimedRun
from bench.shop import dataset

PROTOCOL_3 = 196608
READY = b"Z\0\0\0\x05"
TAIL = 256  # as much as one row and what is around it


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def bind(statement: bytes, *parameters: bytes) -> bytes:
    """Return the messages that run `statement` with a binary result."""
    values = b"".join(struct.pack("!I", len(p)) + p for p in parameters)
    formats = struct.pack("!HHH", 1, 1, len(parameters))
    body = b"\0" + statement + b"\0" + formats + values + struct.pack("!HH", 1, 1)
    return message(b"B", body) + message(b"E", b"\0" + bytes(4)) + message(b"S")


class Client:
    """Enough of the protocol for a server that trusts us."""

    def __init__(self, dsn: str) -> None:
        where = conninfo_to_dict(dsn)
        host = str(where.get("host") or "127.0.0.1")
        port = int(where.get("port") or 5432)
        if host.startswith("/"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(f"{host}/.s.PGSQL.{port}")
        else:
            self.socket = socket.create_connection((host, port))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(60)
        self.buffer = bytearray(1 << 20)
        names = {"user": where["user"], "database": where["dbname"]}
        pairs = b"".join(f"{k}\0{v}\0".encode() for k, v in names.items())
        self.send(message(b"", struct.pack("!I", PROTOCOL_3) + pairs + b"\0"))
        answer = self.socket.recv(9, socket.MSG_PEEK | socket.MSG_WAITALL)
        if answer != b"R" + struct.pack("!II", 8, 0):
            raise ConnectionError(
                f"The server refuses, or wants a password: {answer!r}"
            )
        self.drop()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def drop(self) -> bytes:
        """Receive until the server is ready; return the last bytes."""
        view = memoryview(self.buffer)
        tail = b""
        while tail[-6:-1] != READY:
            count = self.socket.recv_into(view)
            if not count:
                raise ConnectionError(f"The server hung up: {tail!r}")
            tail = (tail + bytes(view[max(0, count - TAIL) : count]))[-TAIL:]
        return tail

    def prepare(self, name: bytes, query: str) -> None:
        body = name + b"\0" + query.encode() + b"\0\0\0"
        self.send(message(b"P", body) + message(b"S"))
        self.drop()

    def count(self, query: str) -> int:
        """Run `query`; return how many rows the server says it sent."""
        body = b"\0" + query.encode() + b"\0\0\0"
        self.send(message(b"P", body) + bind(b""))
        found = re.search(rb"SELECT (\d+)\0", self.drop())
        if found is None:
            raise ConnectionError("The query failed.")
        return int(found[1])


class This(Contender):
    title = "the wire"
    packages = ("psycopg",)

    async def open(self) -> None:
        self.client = Client(self.dsn)
        self.client.prepare(b"get", f"{dataset.PERSON} $1")

    def stream_instances(self, timed: TimedRun) -> None:
        timed.swallow(lambda: self.client.count(dataset.PERSONS))

    stream_tuples = stream_dicts = cached_queryset = stream_instances
    sync_list = sync_iterator = stream_instances

    def select_related(self, timed: TimedRun) -> None:
        timed.swallow(lambda: self.client.count(dataset.RELATED))

    def get_by_key(self, timed: TimedRun) -> None:
        client = self.client

        def get(key: int) -> bytes:
            client.send(bind(b"get", struct.pack("!q", key)))
            return client.drop()

        timed.repeat_sync(get)

    def plain(self, row: Any) -> tuple[Any, ...]:
        """Look at the id of a get's one row; the rest has been dropped."""
        if b"SELECT 1\0" not in row:
            raise ConnectionError(f"The query failed: {row!r}")
        # BindComplete, then of DataRow: type, length, columns, length of the first.
        key = row[5:][1 + 4 + 2 + 4 :][:8]
        return dataset.person(struct.unpack("!q", key)[0])
