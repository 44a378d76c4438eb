"""asyncmy in the place of MySQLdb: what a cursor gives is the same."""

import asyncio
import os
import threading
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import InterfaceError, OperationalError, connections
from django.test.utils import override_settings

from django_async_fast import new_connection, run_sync
from tests.support.noted import noted
from tests.support.other_databases import names, threads
from tests.support.sql import execute
from tests.support.until import until
from tests.testapp.models import Tag

from .conftest import NUMBERS, both_ways

ODD_VALUES = """
    SELECT CAST('2026-02-28' AS DATE), CAST('2026-02-28 01:02:03' AS DATETIME),
    CAST('2026-02-28 01:02:03.5' AS DATETIME(1)),
    CAST('2026-02-28 01:02:03.000004' AS DATETIME(6)), CAST('01:02:03' AS TIME),
    CAST('01:02:03.000004' AS TIME(6)), CAST(1.50 AS DECIMAL(30, 10)), 1e300, -7,
    18446744073709551615, TRUE, NULL, x'00ff27', b'101', 'ä€😀', '', JSON_ARRAY(1),
    CAST('a' AS BINARY), ST_GeomFromText('POINT(1 2)'), UUID() IS NULL, NOW() IS NULL
"""
ODD_TABLE = """
    CREATE TABLE odd (a ENUM('x', 'y'), b SET('x', 'y'), c BIT(9), d YEAR, e TIMESTAMP(3)
    NULL, f VARCHAR(9) CHARACTER SET latin1, g VARCHAR(9) COLLATE utf8mb4_bin, h FLOAT,
    i TINYINT UNSIGNED, j MEDIUMINT, k CHAR(3), l BLOB, m DATE, n DATETIME(6))
"""
ODD_ROWS = """
    INSERT INTO odd VALUES ('x', 'x,y', 257, 2026, '2026-02-28 01:02:03.5', 'é', 'é', 0.1,
    255, -8388608, 'a', x'ff', '0000-00-00', '0000-00-00'), ('', '', 0, 0, NULL, '', '', 0,
    0, 0, '', '', '2026-00-01', '2026-00-00 00:00:01')
"""

# After these the server has closed the connection.
LOST = {1053, 1927, 4031}


@pytest.fixture(params=["loop"])
def driver(request: pytest.FixtureRequest) -> Any:
    """Only how it is by itself; a thread has MySQLdb."""
    with override_settings(DJANGO_ASYNC_FAST={}):
        yield request.param


def shown(cursor: Any) -> Any:
    """Return a cursor's rows, and what it tells of its columns but how wide they are."""
    columns = [(*each[:2], *each[3:]) for each in cursor.description or ()]
    flags = cursor.cursor.description_flags
    rows = [[(type(value), value) for value in row] for row in cursor.fetchall()]
    return columns, flags, rows, cursor.rowcount, cursor.lastrowid


async def test_values(log: str) -> None:
    def read() -> Any:
        with connections[log].cursor() as cursor:
            cursor.execute(ODD_VALUES)
            return shown(cursor)

    await both_ways(log, read)


async def test_values_of_tables(log: str) -> None:
    def read() -> Any:
        with connections[log].cursor() as cursor:
            cursor.execute("SET sql_mode = ''; DROP TABLE IF EXISTS odd")
            cursor.execute(ODD_TABLE)
            cursor.execute(ODD_ROWS)
            inserted = cursor.rowcount
            cursor.execute("SELECT * FROM odd")
            return inserted, shown(cursor)

    await both_ways(log, read)


async def test_a_time_that_is_none_is_an_error_and_the_connection_goes_on(
    log: str,
) -> None:
    def read() -> Any:
        with connections[log].cursor() as cursor:
            with pytest.raises(ValueError, match="hour must be in") as caught:
                cursor.execute("SELECT CAST('25:0:0' AS TIME), CAST('1:0:0' AS TIME)")
                cursor.fetchall()
            cursor.execute("SELECT 7")
            return str(caught.value), cursor.fetchall()

    await both_ways(log, read)


async def test_text_that_is_none_is_an_error_and_the_connection_goes_on(
    log: str,
) -> None:
    def read() -> Any:
        found: list[Any] = []
        with connections[log].cursor() as cursor:
            for rows in (1, 20000):
                with pytest.raises(UnicodeDecodeError) as caught:
                    cursor.execute(
                        f"{NUMBERS} SELECT %s FROM n a, n b LIMIT {rows}", [b"\xff"]
                    )
                cursor.execute("SELECT 7")
                found += [str(caught.value), cursor.fetchall()]
        return found

    await both_ways(log, read)


async def test_the_class_of_each_error(log: str) -> None:
    """Whatever the server's number is."""

    def classes() -> list[Any]:
        found: list[Any] = []
        with connections[log].cursor() as cursor:
            for code in sorted({*range(1, 1999), *range(3000, 4200)} - LOST):
                try:
                    cursor.execute(
                        f"SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {code:d}, "
                        "MESSAGE_TEXT = 'ä'"
                    )
                except Exception as exc:
                    found.append((exc.args, type(exc)))
                    cause = exc.__cause__
                    found.append((type(cause), cause.args if cause else ()))
        return found

    found = await both_ways(log, classes)
    assert len({str(each) for _, each in found}) > 14


@pytest.mark.parametrize("mode", ["", "NO_BACKSLASH_ESCAPES"])
async def test_literals(log: str, mode: str) -> None:
    values = [
        *("a'b", 'a"b', "a\\b\n\0%s", "ä€😀", b"\x00\x7f'\\", bytearray(b"'"), 0.1),
        *(True, None, 10**30, Decimal("1.50"), date(2026, 2, 28), timedelta(days=-1)),
        datetime(2026, 2, 28, 1, 2, 3, 4),
    ]

    def write() -> Any:
        with connections[log].cursor() as cursor:
            cursor.execute(f"SET sql_mode = '{mode}'")
            rows = []
            for value in values:
                cursor.execute("SELECT %s, HEX(%s)", [value, value])
                rows.append(shown(cursor))
            cursor.execute("SELECT %s IN %s", [2, (1, 2)])
            return rows, shown(cursor), connections[log].connection.literal(["'", 1])

    await both_ways(log, write)


async def test_cursors(log: str) -> None:
    def use() -> Any:
        from MySQLdb.cursors import DictCursor

        with connections[log].cursor() as cursor:
            sql = "INSERT INTO testapp_tag (name) VALUES (%s)"
            found = [cursor.executemany(sql, [(f"t{i}",) for i in range(5000)])]
            cursor.execute("UPDATE testapp_tag SET name = name WHERE name < 't2'")
            found += [cursor.rowcount, cursor.warning_count]
            cursor.execute("SELECT name FROM testapp_tag ORDER BY name LIMIT 7")
            found += [cursor.fetchone(), cursor.fetchmany(2), list(cursor)]
            cursor.execute("SELECT 1; SELECT 2, 3; SELECT 4")
            found += [cursor.fetchall(), cursor.nextset(), cursor.fetchall()]
            cursor.execute("SELECT 5")  # the third is left
            found += [cursor.fetchall(), cursor.nextset()]
            cursor.execute("DROP PROCEDURE IF EXISTS two")
            cursor.execute("CREATE PROCEDURE two(a INT) BEGIN SELECT a; SELECT 2; END")
            cursor.callproc("two", [7])
            found += [cursor.fetchall(), cursor.nextset(), cursor.fetchall()]
            cursor.execute("DELETE FROM testapp_tag")
            found.append(cursor.rowcount)
        raw = connections[log].connection
        with raw.cursor(DictCursor) as cursor:
            cursor.execute("SELECT a.x, b.x FROM (SELECT 1 x) a, (SELECT 2 x) b")
            found += [cursor.fetchall(), raw.get_server_info(), raw.info()]
        return found

    await both_ways(log, use)


async def test_the_session_is_as_mysqldb_opens_it(log: str) -> None:
    connections.settings[log]["OPTIONS"] |= {
        "init_command": "SET @mine = 7; SELECT 1",
        "sql_mode": "ANSI_QUOTES",
        "isolation_level": "serializable",
        "collation": "utf8mb4_bin",
    }
    variables = (
        *("@mine", "@@sql_mode", "@@autocommit"),
        *("@@collation_connection", "@@character_set_client", "@@sql_auto_is_null"),
        *("@@character_set_results", "DATABASE()", "USER()", "@@wait_timeout"),
    )

    def look() -> Any:
        with connections[log].cursor() as cursor:
            cursor.execute(f"SELECT {', '.join(variables)}")
            found = cursor.fetchall()
            # Of two names MariaDB has had both only for a few years.
            cursor.execute("SHOW VARIABLES LIKE 't%_isolation'")
            found += cursor.fetchall()
            return found, connections[log].is_usable()

    found = await both_ways(log, look)
    assert found[0][0][:2] == (7, "ANSI_QUOTES")
    assert found[0][1][1] == "SERIALIZABLE"


async def test_a_connection_that_another_thread_collects(log: str) -> None:
    seen: list[int] = []
    async with new_connection(log) as conn:
        await names(log)
        driver = conn.connection.driver
        transport = driver._transport
        driver._transport = Mock(wraps=transport)
        driver._transport.abort = lambda: seen.append(threading.get_ident())
        await asyncio.to_thread(conn.connection.__del__)
        await until(lambda: bool(seen))
        transport.abort()
    assert seen == [threading.get_ident()]


async def test_found_rows_are_counted(log: str) -> None:
    async with new_connection(log):
        await Tag.objects.using(log).acreate(name="a")
        assert await Tag.objects.using(log).aupdate(name="a") == 1


OTHERS: list[dict[str, Any]] = [
    {"read_default_file": "/dev/null"},
    {"local_infile": True},
    {"charset": "latin1"},
    {"use_unicode": True, "compress": False},
    {"conv": {3: str}},
]


@pytest.mark.parametrize("options", OTHERS, ids=str)
async def test_with_other_options_a_connection_is_mysqldbs(
    log: str, options: dict[str, Any]
) -> None:
    connections.settings[log]["OPTIONS"] |= options
    async with new_connection(log) as conn:
        await conn.aensure_connection()
        assert len(threads()) == 1


async def test_who_watches_connections_being_opened_sees_it(log: str) -> None:
    import MySQLdb

    with noted(MySQLdb, "connect") as opened:
        async with new_connection(log) as conn:
            await conn.aensure_connection()
    assert len(opened) == 1


async def test_errors_of_opening(log: str) -> None:
    connections.settings[log]["NAME"] = "nothing"
    try:
        async with new_connection(log) as conn:
            with pytest.raises(OperationalError) as caught:
                await conn.aensure_connection()
            assert caught.value.args[0] == 1049
            assert type(caught.value.__cause__).__module__ == "MySQLdb"
    finally:
        connections.settings[log]["NAME"] = "tests"


async def test_a_lost_connection_is_replaced_outside_of_a_transaction(log: str) -> None:
    def kill() -> None:
        execute(f"KILL {mine:d}", using=log)
        connections[log].close()

    async with new_connection(log) as conn:
        await conn.aensure_connection()
        mine = conn.connection.thread_id()
        await asyncio.to_thread(kill)
        with pytest.raises(OperationalError):
            await Tag.objects.using(log).acount()
        assert await Tag.objects.using(log).acount() == 0


async def test_a_closed_connection_is_not_usable(log: str) -> None:
    def close() -> bool:
        connections[log].ensure_connection()
        connections[log].connection.close()
        usable = connections[log].is_usable()
        connections[log].connection = None
        return usable

    assert await both_ways(log, close) is False


async def test_a_forked_process_leaves_the_connection_alone(log: str) -> None:
    def in_child(raw: Any) -> int:
        try:
            raw.query("SELECT 1")
        except (InterfaceError, OperationalError) as exc:
            raw.close()
            return 7 if "forked" in str(exc) else 8
        return 9

    def fork() -> int:
        raw = connections[log].connection
        if (child := os.fork()) == 0:
            os._exit(in_child(raw))
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    async with new_connection(log) as conn:
        await conn.aensure_connection()
        assert await run_sync(fork) == 7
        assert await Tag.objects.using(log).acount() == 0
