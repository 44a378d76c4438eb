"""All rows of a statement, whose columns are not read again if they are as before.

The server describes the columns of each result. To read that costs more than a row
does; the same statement has the same columns, bytes for bytes, until a table changes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from asyncmy.connection import MySQLResult
from asyncmy.constants.COMMAND import COM_QUERY
from asyncmy.constants.FIELD_TYPE import TIME
from asyncmy.protocol import parse_rows_from_buffer

# So many statements are remembered before all are forgotten.
_MOST = 1000
# The length of a packet, and its number.
_HEADER = 4


class _Columns(NamedTuple):
    """The columns of a result, as the server describes them and as they are read."""

    described: bytes
    packets: int
    converters: tuple[Any, ...]


# By a statement without its values, and whether a packet ends the description. What is
# found is compared with what the server sends: it is never out of date.
_known: dict[tuple[str, bool], _Columns] = {}


async def rows(driver: Any, query: bytes, sql: str) -> Any:
    """Send `query`, which is `sql` with values; return all rows of its first result.

    Raises asyncmy's errors. The result is then the connection's last.
    """
    await driver._execute_command(COM_QUERY, query)
    protocol = driver._proto
    if protocol.length - protocol.pos < _HEADER:
        await driver._fill_buffer(_HEADER)
    key = sql, driver._deprecate_eof
    columns = _known.get(key)
    if columns is None or not _are_next(protocol, columns.described):
        arrived = bytes(protocol.buffer[protocol.pos : protocol.length])
        await driver._read_query_result()
        _learn(key, arrived, driver._result)
        return driver._result.rows or ()
    protocol.pos += len(columns.described)
    driver._next_seq_id = (driver._next_seq_id + columns.packets) & 0xFF
    return await _read_rows(driver, protocol, columns.converters)


def _are_next(protocol: Any, described: bytes) -> bool:
    """Tell whether that is what has arrived, all of it."""
    end = protocol.pos + len(described)
    return bool(
        end <= protocol.length and protocol.buffer.startswith(described, protocol.pos)
    )


async def _read_rows(driver: Any, protocol: Any, converters: tuple[Any, ...]) -> Any:
    found: list[Any] = []
    result: Any = MySQLResult(driver)
    while True:
        protocol.pos, driver._next_seq_id = parse_rows_from_buffer(
            *(protocol.buffer, protocol.pos, protocol.length, converters),
            *(driver._next_seq_id, found, driver._deprecate_eof),
        )
        # What is not there yet, too large for that, or no row.
        packet = await driver.read_packet()
        if result._check_packet_is_eof(packet):
            break
        found.append(packet.read_row(converters))
    result.connection = None
    result.affected_rows = len(found)
    driver._result = result
    if result.server_status:
        driver.server_status = result.server_status
    return found


def _learn(key: tuple[str, bool], arrived: bytes, result: Any) -> None:
    """Remember the columns of a result that began with what had arrived."""
    # The converter of a TIME belongs to its connection.
    if not result.fields or any(each.type_code == TIME for each in result.fields):
        return
    packets = len(result.fields) + 1 + (not key[1])
    end = 0
    for _ in range(packets):
        if end + _HEADER > len(arrived):
            return
        end += _HEADER + int.from_bytes(arrived[end : end + 3], "little")
    if end <= len(arrived):
        if len(_known) >= _MOST:
            _known.clear()
        described = arrived[:end]
        _known[key] = _Columns(described, packets, tuple(result.converters))
