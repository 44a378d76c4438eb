"""Batches of rows that the core encodes, between those that it leaves to psycopg."""

from typing import Any, NamedTuple

import pytest
from django.db import DataError

from django_async_fast import _native, copy_from
from tests.support.shouting import shouting
from tests.testapp.models import Everything

from .stored import assert_like_django


class Str(str):
    __slots__ = ()


class Row(NamedTuple):
    integer: int | None
    char: str


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the core has encoded each batch that it was asked about."""
    kind = pytest.importorskip("django_async_fast._decode").RowEncoder
    found: list[bool] = []

    class Counting:
        def __init__(self, oids: Any, **options: Any) -> None:
            self._inner = kind(oids, **options)

        def encode(self, rows: Any) -> Any:
            data = self._inner.encode(rows)
            found.append(data is not None)
            return data

    monkeypatch.setattr(_native.decode, "RowEncoder", Counting)
    return found


ODD: dict[str, list[Any]] = {
    "plain": [(1, "a"), [2, "é"], (None, None)],
    "wrapped": [(True, "a"), (2, Str("b"))],
    "prepared": [("3", 4)],
    "rows of other classes": [Row(1, "a"), Row(None, "b")],
}


@pytest.mark.usefixtures("_two_rows_a_batch")
@pytest.mark.parametrize("name", ODD)
def test_batches_of_either_kind(name: str, encoded: list[bool]) -> None:
    rows = [(0, "first"), (1, "x"), *ODD[name], (5, "last"), *ODD[name]]
    assert_like_django(Everything, ["integer", "char"], rows)
    assert encoded[0]
    assert all(encoded) == (name == "plain")


@pytest.mark.usefixtures("_two_rows_a_batch")
def test_errors_say_where_they_are_after_batches_of_the_core(
    encoded: list[bool],
) -> None:
    for bad in ("a\0", "x" * 101):
        rows = [(1, "a"), (2, "b"), (3, "c"), (4, bad)]
        with pytest.raises(DataError, match=r"^row 4, field 'char'"):
            copy_from(Everything, rows, ["integer", "char"])
    with pytest.raises(DataError, match=r"^row 3: 1 values for 2 columns"):
        copy_from(Everything, [(1, "a"), (2, "b"), (3,)], ["integer", "char"])
    assert encoded[0]
    assert not Everything.objects.exists()


def test_where_somebody_dumps_texts_the_core_encodes_none(encoded: list[bool]) -> None:
    with shouting():
        assert copy_from(Everything, [(1, "a")], ["integer", "char"]) == 1
    assert not encoded
