"""A value is written into a text as psycopg writes it, byte for byte."""

import datetime as dt
import enum
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from unittest import mock
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from django.db.backends.postgresql.psycopg_any import Jsonb
from django.utils.safestring import SafeString
from hypothesis import given
from hypothesis import strategies as st
from psycopg.adapt import Transformer
from psycopg.sql import SQL, Literal
from psycopg.types.numeric import Int2, Int4, Int8, IntNumeric
from psycopg.types.string import StrDumper

from django_async_fast.drivers.psycopg import literals, statement
from tests.support.describe import outcome

pytestmark = pytest.mark.core


class Colour(enum.IntEnum):
    RED = 3


class Name(str):
    __slots__ = ()


class UtcLike(dt.tzinfo):
    def utcoffset(self, moment: Any) -> Any:
        return None


UTC = dt.UTC
VALUES = [
    *(0, 1, -1, 2**15, -(2**31), 2**63, -(2**63), 10**40, -(10**40)),
    *(Int2(-5), Int4(5), Int8(-(2**40)), IntNumeric(10**30), IntNumeric(-1)),
    *("", "a", "it's", "'", "''", "50%", "%s", "a\nb", '"', "é", "\u20ac𝄞", "E'x"),
    *("back\\slash", "\\'", "é\\", Name("n'"), SafeString("s"), Colour.RED),
    *(None, True, False, 1.5, -0.0, float("nan"), b"\\x'", [1, 2], Jsonb({"a": "'"})),
    *(Decimal("1.50"), Decimal("-0.00"), Decimal("1E+30"), Decimal("-1E-30")),
    *(Decimal("NaN"), Decimal("-NaN"), Decimal("Infinity"), Decimal("-Infinity")),
    Decimal("sNaN"),
    dt.datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
    dt.datetime(2024, 1, 2, 3, 4, 5),
    dt.datetime(1, 1, 1, tzinfo=UTC),
    dt.datetime(2024, 7, 2, 3, tzinfo=ZoneInfo("Europe/Amsterdam")),
    dt.datetime(1900, 7, 2, 3, tzinfo=ZoneInfo("Europe/Amsterdam")),
    dt.datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Amsterdam"), fold=1),
    dt.datetime(2024, 7, 2, tzinfo=dt.timezone(-dt.timedelta(hours=3, seconds=7))),
    dt.datetime(2024, 7, 2, tzinfo=UtcLike()),
    *(dt.date(2024, 1, 2), dt.date(1, 1, 1), dt.time(3, 4), dt.timedelta(days=-1)),
    *(UUID(int=0), UUID(int=2**128 - 1)),
]


@pytest.fixture(scope="module")
def raw(server_dsn: str) -> Iterator[Any]:
    with psycopg.connect(server_dsn, client_encoding="utf8") as connection:
        yield connection


def written(raw: Any, value: Any) -> Any:
    return outcome(literals.LITERALS.written, raw, (value,))


def psycopgs(raw: Any, value: Any) -> Any:
    return outcome(lambda: [Transformer(raw).as_literal(value)])


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_as_psycopg_writes_it(raw: Any, value: Any) -> None:
    expected = psycopgs(raw, value)
    for _ in range(2):
        assert written(raw, value) == expected


@pytest.mark.parametrize("value", ["a\0b", "\ud800", "'\0"], ids=ascii)
def test_what_no_text_can_be_is_refused_by_psycopg(raw: Any, value: str) -> None:
    kind, message = psycopgs(raw, value)
    assert written(raw, value) == (kind, message)


@given(
    value=st.one_of(
        *(st.text(), st.integers(), st.decimals(), st.uuids(), st.dates()),
        st.datetimes(timezones=st.none() | st.timezones()),
    )
)
def test_any_value(raw: Any, value: Any) -> None:
    assert written(raw, value) == psycopgs(raw, value)


def test_the_plain_ones_are_not_written_by_psycopg(raw: Any) -> None:
    plain = [7, -7, "it's", "é", None, True, Decimal("1.5"), VALUES[-1], Int4(3)]
    plain += [dt.datetime(2024, 1, 2, tzinfo=UTC), dt.date(2024, 1, 2)]
    expected = [psycopgs(raw, each)[0] for each in plain]
    asked = mock.Mock(side_effect=AssertionError)
    writes = literals._native.rows.Literals(
        {kind: how for kind, (how, _) in literals._KINDS.items()},
        adapters_map=literals.AdaptersMap,
        text=literals.PyFormat.TEXT,
        is_psycopgs=literals._is_psycopgs,
        transformer=asked,
        is_utf8=literals.is_utf8,
    )
    assert writes.written(raw, plain) == expected
    assert not asked.called


def test_the_core_knows_where_dumpers_are_kept(raw: Any) -> None:
    kept = raw.adapters._dumpers[literals.PyFormat.TEXT]
    assert kept[str] is raw.adapters.get_dumper(str, literals.PyFormat.TEXT)


def test_another_encoding(server_dsn: str) -> None:
    with psycopg.connect(server_dsn, client_encoding="latin1") as raw:
        for value in ("a", "é", "é'", "\u20ac"):
            assert written(raw, value) == psycopgs(raw, value)
        assert written(raw, "é") == [b"'\xe9'"]


class Loud(StrDumper):
    def quote(self, obj: Any) -> Any:
        return b"'" + obj.upper().encode() + b"'"


def test_a_dumper_of_ones_own(server_dsn: str) -> None:
    with psycopg.connect(server_dsn) as raw:
        assert written(raw, "a") == [b"'a'"]
        raw.adapters.register_dumper(str, Loud)
        assert written(raw, "a") == psycopgs(raw, "a") == [b"'A'"]
    with psycopg.connect(server_dsn) as raw:
        assert written(raw, "a") == [b"'a'"]


def test_a_map_of_adapters_of_ones_own(raw: Any) -> None:
    class Map(literals.AdaptersMap):
        def get_dumper(self, kind: Any, format: Any) -> Any:
            return Loud if kind is str else super().get_dumper(kind, format)

    with mock.patch.object(raw, "_adapters", Map(raw.adapters)):
        assert written(raw, "a") == psycopgs(raw, "a") == [b"'A'"]


TEXTS = [
    ("SELECT 1", ()),
    ("SELECT %s", ("it's",)),
    ("SELECT %s, '%s', %s", (1, -1, None)),
    ("SELECT %s", [1]),
    ("SELECT %s LIKE 'a%%'", (1,)),
    ("SELECT '%%s', %s", (1,)),
    ("SELECT 'a%', %s", (1,)),
    ("SELECT %(a)s", {"a": 1}),
    ("SELECT %t, %s", (1, 2)),
    ("SELECT %s%s", (1, Jsonb({"%s": 1}))),
    ("SELECT 'é', %s", (1,)),
    ("SELECT %s", ()),
    ("SELECT %s", (1, 2)),
    ("SELECT 1", (1,)),
    ("SELECT 1 -- %", ()),
    ("SELECT 1 -- %", None),
    (b"SELECT %s", (1,)),
    (SQL("SELECT {}").format(Literal(1)), ()),
]


@pytest.mark.parametrize(("sql", "params"), TEXTS, ids=repr)
def test_a_text_with_its_values(raw: Any, sql: Any, params: Any) -> None:
    expected = outcome(statement.merged, raw, sql, params)
    assert outcome(statement.SENDER.text, raw, sql, params) == expected


def test_a_plain_text_is_not_read_by_psycopg(raw: Any) -> None:
    with mock.patch.object(statement, "PostgresClientQuery", side_effect=OSError):
        text = statement.SENDER.text(raw, "SELECT %s, %s", (1, "%s"))
        with pytest.raises(OSError):
            statement.SENDER.text(raw, "SELECT %s %%", (1,))
    assert text == b"SELECT 1, '%s'"
