"""RowDecoder: what it is made of, what it checks, and the contract behind its capsule."""

import ctypes
import gc
import struct
import sys
import weakref
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.support.forged_results import forged, libpq_path
from tests.support.reading import TEXT

from .decoding import decoder_for, read_forged
from .test_result_batches import DECODE_ROW, RowDecoder

_decode = pytest.importorskip("django_async_fast._decode")


def test_loaders_get_the_bytes_of_values() -> None:
    calls: list[bytes] = []

    def load(data: bytes) -> object:
        calls.append(data)
        return len(calls)

    columns = (600, b"any\0thing"), (600, None), (25, b""), (25, b"text")
    row = read_forged(*columns, loaders={0: load, 1: load, 2: load})
    assert row == (1, None, 2, "text")
    assert calls == [b"any\0thing", b""]
    assert all(type(data) is bytes for data in calls)


def test_loader_errors_pass_through() -> None:
    def load(data: bytes) -> object:
        raise LookupError(data)

    with pytest.raises(LookupError, match="x"):
        read_forged((600, b"x"), loaders={0: load})


@pytest.mark.parametrize(
    ("loaders", "error"),
    [
        ({1: bytes.decode}, IndexError),
        ({-1: bytes.decode}, IndexError),
        ({0: 5}, TypeError),
        ({"a": bytes.decode}, TypeError),
    ],
)
def test_loaders_are_checked(loaders: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        _decode.RowDecoder([25], loaders=loaders)


@pytest.mark.parametrize("name", ["timezone", "session_timezone"])
def test_timezones_are_checked(name: str) -> None:
    with pytest.raises(TypeError):
        _decode.RowDecoder([1184], **{name: "UTC"})


def test_check() -> None:
    result = forged((23, bytes(4)), (25, b"x"))
    pointer = result.pgresult_ptr
    assert _decode.rows(pointer) == 1
    assert _decode.shape(pointer) == (1, (23, 25), (1, 1))
    assert _decode.RowDecoder([23, 25]).check(pointer) == 1
    assert _decode.RowDecoder([23]).check(pointer) == 1
    with pytest.raises(ValueError, match="of at least 3 columns, got 2"):
        _decode.RowDecoder([23, 25, 25]).check(pointer)
    with pytest.raises(ValueError, match=r"column 1 with OID 16 .* got OID 25"):
        _decode.RowDecoder([23, 16]).check(pointer)
    text = forged((23, b"5"), format=0)
    with pytest.raises(ValueError, match="in format 1, got OID 23 in format 0"):
        _decode.RowDecoder([23]).check(text.pgresult_ptr)
    reads_text = _decode.RowDecoder([23], result_format=TEXT)
    assert reads_text.decode(text.pgresult_ptr, 0) == (5,)
    with pytest.raises(ValueError, match="in format 0, got OID 23 in format 1"):
        reads_text.check(pointer)
    loads_text = _decode.RowDecoder([23], loaders={0: int})
    assert loads_text.decode(text.pgresult_ptr, 0) == (5,)


@pytest.mark.parametrize("row", [-1, 1, 2**31 - 1])
def test_rows_are_checked(row: int) -> None:
    result = forged((23, bytes(4)))
    with pytest.raises(IndexError, match=rf"row {row} of a result of 1 rows"):
        _decode.RowDecoder([23]).decode(result.pgresult_ptr, row)


def test_cleared_results_are_refused() -> None:
    for function in (_decode.rows, _decode.shape, _decode.RowDecoder([23]).check):
        with pytest.raises(ValueError, match="cleared"):
            function(0)


def test_no_columns() -> None:
    result = forged()
    assert _decode.RowDecoder([]).check(result.pgresult_ptr) == 0


def contract_of(capsule: Any) -> RowDecoder:
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype = ctypes.c_void_p
    pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    address = pointer(capsule, b"django_async_fast._decode.RowDecoder")
    return RowDecoder.from_address(address)


def call_contract(contract: RowDecoder, pointer: int, row: int) -> tuple[Any, ...]:
    """Decode a row as `native/` does."""
    out = (ctypes.c_void_p * contract.columns)()
    assert DECODE_ROW(contract.decode_row)(contract.ctx, pointer, row, out) == 0
    values = tuple(ctypes.cast(address, ctypes.py_object).value for address in out)
    for address in out:
        ctypes.pythonapi.Py_DecRef(ctypes.c_void_p(address))
    return values


def test_capsule_outlives_its_decoder() -> None:
    result = forged((25, b"hello"), (23, None), (1700, b"\0\0\0\0\0\0\0\1"))
    decoder = decoder_for(result)
    capsule = decoder.capsule
    references = sys.getrefcount(decoder)
    del capsule
    assert sys.getrefcount(decoder) == references - 1
    capsule = decoder.capsule
    del decoder
    gc.collect()
    contract = contract_of(capsule)
    assert (contract.abi, contract.columns) == (1, 3)
    row = call_contract(contract, result.pgresult_ptr, 0)
    assert row == ("hello", None, Decimal("0.0"))


def test_contract_reports_errors() -> None:
    result = forged((25, b"hello"), (1082, struct.pack("!i", 2**31 - 1)))
    capsule = decoder_for(result).capsule
    with pytest.raises(psycopg.DataError, match="date too large"):
        call_contract(contract_of(capsule), result.pgresult_ptr, 0)


def test_cycles_are_collected() -> None:
    class Owner:
        decoder: Any

        def load(self, data: bytes) -> object:
            return data

    owner = Owner()
    owner.decoder = _decode.RowDecoder([600], loaders={0: owner.load})
    ref = weakref.ref(owner)
    del owner
    gc.collect()
    assert ref() is None


def test_libpq_that_is_not_there(tmp_path: Any) -> None:
    with pytest.raises(OSError, match=r"nowhere\.so is not loaded"):
        _decode.load_libpq(str(tmp_path / "nowhere.so"))
    with pytest.raises(OSError, match="no PQntuples in"):
        _decode.load_libpq(sys.modules["_ctypes"].__file__)
    _decode.load_libpq(libpq_path())


def test_build_info() -> None:
    info = _decode.build_info()
    assert info["profile"] in {"release", "debug"}
    assert info["version"]
