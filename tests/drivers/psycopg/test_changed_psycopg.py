"""What psycopg lets a project change on a connection, or for the whole process.

Whatever it is, rows are read as in stock Django: in synchronous code, on the bridge and
by asynchronous querysets.
"""

import asyncio
import datetime as dt
import enum
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import psycopg
import pytest
from django.db import DataError, connections, transaction
from django.db.backends.postgresql.psycopg_any import BaseTzLoader
from django.db.models.expressions import RawSQL
from psycopg import rows
from psycopg.adapt import Dumper, Loader
from psycopg.types import TypeInfo
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg.types.numeric import FloatLoader

from django_async_fast import new_connection, run_sync
from tests.support.describe import described
from tests.support.django_rows import djangos_rows
from tests.support.in_a_block import in_a_block
from tests.support.sql import execute
from tests.testapp.models import Author, Book, Everything

pytestmark = pytest.mark.keep_rows

Raw = psycopg.Connection[Any]


class Mood(enum.Enum):
    CALM = "calm"
    CROSS = "cross"


VALUES: dict[str, Any] = {
    "small": 1, "integer": -2, "big": 2**40, "char": "x", "boolean": True,
    "decimal": "1.50", "float": 1 / 3, "date": dt.date(2024, 1, 2), "time": "03:04:05",
    "datetime": dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
    "duration": dt.timedelta(days=40, seconds=3), "uuid": "a" * 32,
    "json": {"a": [1, 2.5]}, "inet": "10.0.0.1", "binary": b"\0\xff",
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _rows(_databases: Any) -> Iterator[None]:
    author = Author.objects.create(name="a")
    for title in "abc":
        Book.objects.create(title=title, author=author, pages=3)
    Everything.objects.create(**VALUES)
    execute("CREATE TYPE underneath_mood AS ENUM ('calm', 'cross')")
    execute("CREATE TYPE underneath_pair AS (a int, b text)")
    yield
    execute("DROP TYPE underneath_mood, underneath_pair")
    Author.objects.all().delete()
    Everything.objects.all().delete()


def everything() -> Any:
    return Everything.objects.order_by("pk")


def with_sql(sql: str) -> Callable[[], Any]:
    return lambda: everything().values_list("pk", RawSQL(sql, ()))


QUERIES: dict[str, Callable[[], Any]] = {
    "instances": everything,
    "dicts": lambda: everything().values(),
    "tuples": lambda: everything().values_list(),
    "flat": lambda: everything().values_list("float", flat=True),
    "related": lambda: Book.objects.select_related("author").order_by("pk"),
    "json": with_sql("""'{"a": 1.5}'::json"""),
    "json array": with_sql("""array['{"a": 1.5}'::json]"""),
    "enum": with_sql("'calm'::underneath_mood"),
    "enum array": with_sql("array['calm'::underneath_mood]"),
    "composite": with_sql("(1, 'b')::underneath_pair"),
    "money": with_sql("'1.5'::money"),
    "floats": with_sql("array[0.1::float8, 1e-7]"),
    "intervals": with_sql("array[interval '1 day 2 hours']"),
    "ranges": with_sql("numrange(1.5, 2.5)"),
}
GOT: dict[str, Callable[[], Any]] = {
    "by number": lambda: Everything.objects.get(small=1),
    "by another number": lambda: Everything.objects.get(small=7),
    "by text": lambda: Everything.objects.get(char="x"),
    "count": lambda: everything().count(),
}


class Shout(Loader):
    def load(self, data: Any) -> Any:
        return bytes(data).decode().upper()


class Plus(Loader):
    def load(self, data: Any) -> Any:
        return int(bytes(data)) + 1000


class Seventh(Dumper):
    oid = 20

    def dump(self, obj: Any) -> bytes:
        return b"%d" % (1 if obj == 7 else obj)

    quote = dump  # as in FETCH, where nothing else is allowed


class Later(BaseTzLoader):  # type: ignore[misc]
    timezone = dt.UTC

    def load(self, data: Any) -> Any:
        return super().load(data) + dt.timedelta(hours=1)


@contextmanager
def for_the_process(set_json: Any, function: Any) -> Iterator[None]:
    set_json(function)
    try:
        yield
    finally:
        set_json(json.loads if set_json is set_json_loads else json.dumps)


def decimals(data: Any) -> Any:
    return json.loads(data, parse_float=lambda number: f"float {number}")


def indented(value: Any) -> str:
    return json.dumps(value, indent=1)


def enumerated(raw: Raw) -> None:
    register_enum(EnumInfo.fetch(raw, "underneath_mood"), raw, Mood)


def composed(raw: Raw) -> None:
    register_composite(CompositeInfo.fetch(raw, "underneath_pair"), raw)


def type_of_a_name(raw: Raw) -> None:
    TypeInfo.fetch(raw, "underneath_mood").register(raw)
    raw.adapters.register_loader("underneath_mood", Shout)


def session(*settings: str) -> Callable[[Raw], None]:
    def change(raw: Raw) -> None:
        for setting in settings:
            raw.execute(f"SET {setting}")

    return change


def setting(name: str, value: Any) -> Callable[[Raw], None]:
    return lambda raw: setattr(raw, name, value)


def loader(type_: str, kind: type[Loader]) -> Callable[[Raw], None]:
    return lambda raw: raw.adapters.register_loader(type_, kind)


# What is changed on a connection; or for a while in the whole process.
CHANGES: dict[str, Callable[[Raw], Any]] = {
    "nothing": lambda raw: None,
    "set_json_loads()": lambda raw: for_the_process(set_json_loads, decimals),
    "set_json_loads(connection)": lambda raw: set_json_loads(decimals, raw),
    "set_json_dumps()": lambda raw: for_the_process(set_json_dumps, indented),
    "set_json_dumps(connection)": lambda raw: set_json_dumps(indented, raw),
    "loader of int4": loader("int4", Plus),
    "loader of bool": loader("bool", Shout),
    "loader of varchar": loader("varchar", Shout),
    "loader of numeric": loader("numeric", FloatLoader),
    "loader of timestamptz": loader("timestamptz", Later),
    "loader of jsonb": loader("jsonb", Shout),
    "loader of money": loader("money", Shout),
    "dumper of int": lambda raw: raw.adapters.register_dumper(int, Seventh),
    "register_enum()": enumerated,
    "register_composite()": composed,
    "TypeInfo.register()": type_of_a_name,
    "row_factory=namedtuple_row": setting("row_factory", rows.namedtuple_row),
    "row_factory=args_row": setting("row_factory", rows.args_row(lambda *row: [*row])),
    "cursor_factory=ClientCursor": setting("cursor_factory", psycopg.ClientCursor),
    "cursor_factory=Cursor": setting("cursor_factory", psycopg.Cursor),
    "server_cursor_factory": setting("server_cursor_factory", psycopg.ServerCursor),
    "prepare_threshold=0": setting("prepare_threshold", 0),
    "read_only": setting("read_only", True),
    "isolation_level": setting(
        "isolation_level", psycopg.IsolationLevel.SERIALIZABLE
    ),
    "deferrable": setting("deferrable", True),
    "not autocommit": setting("autocommit", False),
    "pipeline()": lambda raw: raw.pipeline(),
    "transaction()": lambda raw: raw.transaction(),
    "TimeZone": session("TimeZone = 'Asia/Kolkata'"),
    "DateStyle": session("DateStyle = 'ISO, YMD'"),
    "bytea_output": session("bytea_output = escape"),
    "client_encoding": session("client_encoding = LATIN1"),
    "xmlbinary": session("xmlbinary = hex", "lc_monetary = 'C'", "array_nulls = off"),
}  # fmt: skip


def outcome(make: Callable[[], Any]) -> Any:
    try:
        found = make()
        # What told() makes of a row would hide its class.
        kinds = [type(row).__name__ for row in found] if type(found) is list else None
        return kinds, described(found)
    except Exception as exc:
        return type(exc), str(exc)


STEPS: dict[str, Callable[[], Any]] = {
    **{name: lambda make=make: list(make()) for name, make in QUERIES.items()},
    **{
        f"{name}, streamed": lambda make=make: list(make().iterator(2))
        for name, make in QUERIES.items()
    },
    **GOT,
}


def changed(change: Callable[[Raw], Any]) -> dict[str, Any]:
    """Return what queries find on the connection of here, after `change`."""
    wrapper = connections["default"]
    wrapper.ensure_connection()
    raw = wrapper.connection
    found, steps = {}, STEPS
    if change is CHANGES["pipeline()"]:  # Django cannot stream in one
        steps = {name: step for name, step in STEPS.items() if "streamed" not in name}
    for step in steps.values():
        outcome(step)
    with ExitStack() as stack:
        context = change(raw)
        if hasattr(context, "__enter__"):
            stack.enter_context(context)
        for name, step in steps.items():
            found[name] = [outcome(step), outcome(step)]
            if raw.info.transaction_status == psycopg.pq.TransactionStatus.INERROR:
                raw.rollback()
    return found


def on_a_connection(change: Callable[[Raw], Any]) -> dict[str, Any]:
    connections["default"].close()
    try:
        return changed(change)
    finally:
        connections["default"].close()


@cache
def djangos(name: str) -> dict[str, Any]:
    """Return what queries find after a change where Django builds the rows."""
    with djangos_rows():
        return on_a_connection(CHANGES[name])


@pytest.mark.parametrize("name", CHANGES)
def test_rows_are_djangos(name: str) -> None:
    change, expected = CHANGES[name], djangos(name)
    for found in on_a_connection(change), in_a_block(changed, change):
        differing = {k: v for k, v in found.items() if v != expected[k]}
        assert not differing, [expected[k] for k in differing]


@pytest.mark.parametrize("name", CHANGES.keys() - {"transaction()", "not autocommit"})
def test_asynchronous_rows_are_djangos(name: str) -> None:
    change, expected = CHANGES[name], djangos(name)

    async def rows_of(make: Callable[[], Any], streamed: bool) -> Any:
        try:
            queryset = make()
            source = queryset.aiterator(2) if streamed else queryset
            found = [row async for row in source]
            return [type(row).__name__ for row in found], described(found)
        except Exception as exc:
            return type(exc), str(exc)

    def begin(stack: ExitStack) -> None:
        connections["default"].ensure_connection()
        context = change(connections["default"].connection)
        if hasattr(context, "__enter__"):
            stack.enter_context(context)

    async def main() -> None:
        async with new_connection():
            with ExitStack() as stack:
                await run_sync(begin, stack)
                for key in expected.keys() - GOT.keys():
                    query, _, streamed = key.partition(", ")
                    got = await rows_of(QUERIES[query], bool(streamed))
                    assert got == expected[key][1], key
                await run_sync(stack.close)

    asyncio.run(main())


def told_by_the_server() -> list[Any]:
    """Return what handlers of notices and notifications hear of queries for rows."""
    heard: list[Any] = []
    wrapper = connections["default"]
    wrapper.ensure_connection()
    raw = wrapper.connection
    raw.add_notice_handler(lambda notice: heard.append(notice.message_primary))
    raw.add_notify_handler(lambda notify: heard.append(notify.payload))
    raw.execute("LISTEN underneath")
    noisy = RawSQL("underneath_noisy()", ())
    try:
        with transaction.atomic():
            raw.execute(
                "CREATE FUNCTION underneath_noisy() RETURNS int LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE WARNING 'noise'; RETURN 1; END $$"
            )
            for _ in range(3):
                list(everything().annotate(x=noisy))
            list(everything().annotate(x=noisy).iterator())
            transaction.set_rollback(True)
        notify = RawSQL("pg_notify('underneath', 'payload')", ())
        for _ in range(3):
            list(everything().annotate(x=notify))
            list(everything())
    finally:
        wrapper.close()
    return heard


def test_notices_and_notifications() -> None:
    with djangos_rows():
        expected = told_by_the_server()
    assert expected.count("noise") == 4
    assert expected.count("payload") == 3
    assert told_by_the_server() == in_a_block(told_by_the_server) == expected


def test_rows_that_are_not_read_by_position() -> None:
    """Django does not read them either, or takes their keys for values."""
    connections["default"].close()
    try:
        connections["default"].ensure_connection()
        connections["default"].connection.row_factory = rows.dict_row
        for name in "instances", "tuples", "flat", "related":
            for read in list, lambda queryset: list(queryset.iterator(2)):
                with pytest.raises(TypeError, match="by position, not from a dict"):
                    read(QUERIES[name]())
    finally:
        connections["default"].close()


def test_json_that_is_loaded_otherwise_from_now_on() -> None:
    """On connections that have read some before, and back."""
    queryset = QUERIES["json"]
    before = [row[1] for row in queryset()]
    for _ in range(2):
        list(queryset())
    with for_the_process(set_json_loads, decimals):
        assert [row[1] for row in queryset()] == [{"a": "float 1.5"}]
        assert [row[1] for row in queryset()] == [{"a": "float 1.5"}]
    assert [row[1] for row in queryset()] == before == [{"a": 1.5}]


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ("DateStyle = 'SQL, DMY'", "datetime"),
        ("DateStyle = German", "datetime"),
        ("IntervalStyle = sql_standard", "duration"),
        ("extra_float_digits = -10", "float"),
    ],
)
def test_where_values_differ(setting: str, field: str) -> None:
    """As documented: psycopg does not read these from text, or not exactly."""
    values = everything().values_list(field, flat=True)
    changed = session(setting)
    expected = [VALUES[field]]
    for _ in range(2):
        list(values.all())

    def found() -> Any:
        wrapper = connections["default"]
        wrapper.ensure_connection()
        changed(wrapper.connection)
        try:
            return outcome(lambda: list(values.all()))
        finally:
            wrapper.close()

    with djangos_rows():
        assert found()[1] != described(expected)
    assert found()[1] == in_a_block(found)[1] == described(expected)


def test_an_interval_that_no_timedelta_holds() -> None:
    """Psycopg returns another one."""
    intervals = with_sql("'178000000 years'::interval")
    with djangos_rows():
        (found,) = intervals()
    assert isinstance(found[1], dt.timedelta)
    for _ in "text", "binary":
        with pytest.raises(DataError, match="178000000 years"):
            list(intervals())
