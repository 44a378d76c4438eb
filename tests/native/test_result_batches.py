"""Batches of libpq's results, with a decoder made with ctypes."""

import ctypes
import gc
import types
import weakref
from functools import partial
from typing import Any

import pytest

from .plans import Thing, source_of

rows = pytest.importorskip("django_async_fast._rows")


class RowDecoder(ctypes.Structure):
    _fields_ = [
        ("abi", ctypes.c_uint32),
        ("columns", ctypes.c_uint32),
        ("ctx", ctypes.c_void_p),
        ("decode_row", ctypes.c_void_p),
    ]


ARGUMENTS = ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int
DECODE_ROW = ctypes.PYFUNCTYPE(
    ctypes.c_int, *ARGUMENTS, ctypes.POINTER(ctypes.c_void_p)
)
new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype = ctypes.py_object
new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
increment = ctypes.pythonapi.Py_IncRef
increment.argtypes = [ctypes.py_object]


class Decoder:
    """Decodes row i as `make(i)`."""

    NAME = b"django_async_fast._decode.RowDecoder"

    def __init__(
        self, make: Any, columns: int, abi: int = 1, name: bytes = NAME
    ) -> None:
        def decode(_ctx: Any, result: Any, row: int, out: Any) -> int:
            assert result == 4096
            for i, value in enumerate(make(row)):
                increment(value)
                out[i] = id(value)
            return 0

        self.function = DECODE_ROW(decode)
        pointer = ctypes.cast(self.function, ctypes.c_void_p)
        self.struct = RowDecoder(abi, columns, None, pointer)
        self.name = name
        self.capsule = new_capsule(ctypes.addressof(self.struct), name, None)


class FailingDecoder(Decoder):
    """A callback cannot leave an error set, but hash() of a list can."""

    def __init__(self) -> None:
        super().__init__(None, 2)
        self.unhashable: list[Any] = []
        self.struct.ctx = id(self.unhashable)
        self.struct.decode_row = ctypes.cast(
            ctypes.pythonapi.PyObject_Hash, ctypes.c_void_p
        )


def result_batch(plan: Any, decoder: Any, owner: Any, count: int) -> Any:
    return rows.ResultBatch(plan, decoder, owner, 4096, count)


def test_result_batch() -> None:
    owner, decoder = Thing(), Decoder(lambda i: (i, str(i)), 2)
    alive = weakref.ref(owner), weakref.ref(decoder)
    batch = result_batch(rows.DictPlan("ab", width=2), decoder, owner, 3)
    assert (len(batch), batch.rows) == (3, 3)
    iterator = rows.RowIterator(source_of(batch))
    del owner, decoder, batch
    assert next(iterator) == {"a": 0, "b": "0"}
    assert alive[0]() is not None
    assert alive[1]() is not None
    assert list(iterator) == [{"a": 1, "b": "1"}, {"a": 2, "b": "2"}]
    gc.collect()
    assert alive[0]() is None
    assert alive[1]() is None


def test_a_decoder_that_fails() -> None:
    plan = rows.TuplePlan(width=2)
    with pytest.raises(TypeError, match="unhashable"):
        list(rows.RowIterator(source_of(result_batch(plan, FailingDecoder(), None, 1))))
    plan = rows.TuplePlan(width=2, translate_error=lambda error: LookupError("ours"))
    batch = result_batch(plan, FailingDecoder(), None, 9)
    iterator = rows.RowIterator(source_of(batch))
    with pytest.raises(LookupError, match="ours") as caught:
        next(iterator)
    assert isinstance(caught.value.__cause__, TypeError)
    assert list(iterator) == []


def test_result_batch_checks_the_contract() -> None:
    plan = rows.TuplePlan(width=2)
    make = partial(Decoder, lambda i: (1, 2))
    with pytest.raises(ValueError, match="expects 2 columns, the decoder writes 3"):
        result_batch(plan, make(3), None, 1)
    with pytest.raises(ValueError, match="expected row decoder ABI 1, got 2"):
        result_batch(plan, make(2, abi=2), None, 1)
    with pytest.raises(ValueError):
        result_batch(plan, make(2, name=b"other"), None, 1)
    with pytest.raises(ValueError):
        result_batch(plan, types.SimpleNamespace(capsule=5), None, 1)
    with pytest.raises(AttributeError):
        result_batch(plan, Thing(), None, 1)
    with pytest.raises(ValueError, match="NULL"):
        rows.ResultBatch(plan, make(2), None, 0, 1)
    for count in (-1, 2**31):
        with pytest.raises(ValueError, match="rows must be between"):
            result_batch(plan, make(2), None, count)
