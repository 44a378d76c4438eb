"""Rows into what a queryset yields, and the iterators that yield it."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeAlias, final

from typing_extensions import disjoint_base

# column, converters, expression: as in SQLCompiler.get_converters()
_ConverterTriple: TypeAlias = tuple[
    int, Iterable[Callable[[Any, Any, Any], Any]], object
]
_TranslateError: TypeAlias = Callable[[Exception], BaseException]
# name, column, and whether to store past the class's descriptors
_AnnotationColumn: TypeAlias = tuple[str, int] | tuple[str, int, bool]

@disjoint_base
class Plan:
    def __init__(
        self,
        width: int,
        *,
        converters: Iterable[_ConverterTriple] = (),
        connection: object = None,
        translate_error: _TranslateError | None = None,
    ) -> None: ...
    @property
    def width(self) -> int: ...

@final
class TuplePlan(Plan):
    def __init__(
        self,
        width: int,
        *,
        columns: int | None = None,
        converters: Iterable[_ConverterTriple] = (),
        connection: object = None,
        translate_error: _TranslateError | None = None,
    ) -> None: ...

@final
class FlatPlan(Plan):
    def __init__(
        self,
        width: int = 1,
        *,
        converters: Iterable[_ConverterTriple] = (),
        connection: object = None,
        translate_error: _TranslateError | None = None,
    ) -> None: ...

@final
class NamedPlan(Plan):
    def __init__(
        self,
        tuple_class: type[tuple[Any, ...]],
        *,
        width: int,
        columns: int | None = None,
        converters: Iterable[_ConverterTriple] = (),
        connection: object = None,
        translate_error: _TranslateError | None = None,
    ) -> None: ...

@final
class DictPlan(Plan):
    def __init__(
        self,
        names: Iterable[str],
        *,
        width: int,
        converters: Iterable[_ConverterTriple] = (),
        connection: object = None,
        translate_error: _TranslateError | None = None,
    ) -> None: ...

@final
class ModelPlan(Plan):
    def __init__(
        self,
        width: int,
        *,
        model: type[Any],
        db: str,
        columns: Iterable[tuple[str, int]],
        pk_column: int,
        state_class: type[Any] | None = None,
        fetch_mode: object = None,
        track_peers: bool = False,
        from_db: Callable[[str, list[str], Sequence[Any]], Any] | None = None,
        annotations: Iterable[_AnnotationColumn] = (),
        relations: Iterable[Relation] = (),
        known: Iterable[Known] = (),
        foreign_keys: Iterable[int] = (),
        converters: Iterable[_ConverterTriple] = (),
        connection: object = None,
        translate_error: _TranslateError | None = None,
    ) -> None: ...

@final
class Relation:
    def __init__(
        self,
        plan: ModelPlan,
        local_setter: Callable[[Any, Any], object] | None = None,
        remote_setter: Callable[[Any, Any], object] | None = None,
        local_cache: str | None = None,
        remote_cache: str | None = None,
    ) -> None: ...

@final
class Known:
    def __init__(
        self, field: Any, related: dict[Any, Any], attnames: Iterable[str]
    ) -> None: ...

@disjoint_base
class Batch:
    @property
    def rows(self) -> int: ...
    def __len__(self) -> int: ...

@disjoint_base
class RowBatch(Batch): ...

@final
class ListBatch(Batch):
    def __init__(self, items: list[Any]) -> None: ...

@final
class Part(Batch):
    def __init__(self, whole: Batch, first: int, rows: int) -> None: ...

@final
class TupleBatch(RowBatch):
    def __init__(self, plan: Plan, rows: list[Any]) -> None: ...

@final
class ResultBatch(RowBatch):
    def __init__(
        self, plan: Plan, decoder: Any, owner: object, address: int, rows: int
    ) -> None: ...

def items(batch: Batch) -> list[Any]: ...

@final
class RowIterator:
    def __init__(self, source: Callable[[], Batch | None]) -> None: ...
    def __iter__(self) -> RowIterator: ...
    def __next__(self) -> Any: ...
    def __length_hint__(self) -> int: ...
    def close(self) -> None: ...

@final
class AsyncRowIterator:
    def __init__(
        self, source: Callable[[], Awaitable[Batch | None] | Batch | None]
    ) -> None: ...
    def __aiter__(self) -> AsyncRowIterator: ...
    def __anext__(self) -> AsyncRowIterator: ...
    def __await__(self) -> AsyncRowIterator: ...
    def __next__(self) -> Any: ...
    def send(self, value: object) -> Any: ...
    def throw(self, *error: Any) -> Any: ...
    def close(self) -> None: ...
    async def aclose(self) -> None: ...

@final
class ClassWatch:
    def __init__(
        self, *classes: type[Any], asked: Callable[[], bool] | None = None
    ) -> None: ...
    def look(self) -> None: ...
    def unchanged(self) -> bool: ...
    def holds(self) -> bool: ...

@final
class ThreadLocals:
    def call(self, function: Callable[..., Any], *args: Any) -> Any: ...
    def clear(self) -> None: ...
    def __bool__(self) -> bool: ...

def state_finalizer(state: Any) -> None: ...
def state_finalizer_for(state_class: type[Any]) -> Callable[[Any], None]: ...
def build_info() -> dict[str, str]: ...
