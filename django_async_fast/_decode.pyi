from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from typing import Any, final

__all__ = [
    "BINARY_OIDS",
    "ENCODED_OIDS",
    "TEXT_OIDS",
    "RowDecoder",
    "RowEncoder",
    "array_of",
    "build_info",
    "load_libpq",
    "rows",
    "shape",
]

BINARY_OIDS: frozenset[int]
ENCODED_OIDS: frozenset[int]
TEXT_OIDS: frozenset[int]

def array_of(
    oid: int, values: list[Any], kinds: Mapping[int, tuple[str, int]] | None = None
) -> bytes | None: ...
def build_info() -> dict[str, str]: ...
def load_libpq(path: str) -> None: ...
def rows(pgresult_ptr: int) -> int: ...
def shape(pgresult_ptr: int) -> tuple[int, tuple[int, ...], tuple[int, ...]]: ...

@final
class RowDecoder:
    def __new__(
        cls,
        columns: Sequence[int],
        *,
        result_format: int = 1,
        session_timezone: tzinfo | None = None,
        timezone: tzinfo | None = None,
        kinds: Mapping[int, tuple[str, int]] | None = None,
        loaders: Mapping[int, Callable[[bytes], object]] | None = None,
    ) -> RowDecoder: ...
    @property
    def capsule(self) -> object: ...
    def check(self, pgresult_ptr: int) -> int: ...
    def decode(self, pgresult_ptr: int, row: int) -> tuple[Any, ...]: ...

@final
class RowEncoder:
    def __new__(
        cls,
        columns: Sequence[int],
        *,
        kinds: Mapping[int, tuple[str, int]] | None = None,
        depths: Sequence[int] | None = None,
    ) -> RowEncoder: ...
    def encode(self, rows: list[Any]) -> bytes | None: ...
