"""Rows into what a queryset yields, and the iterators that yield it."""

import re
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from contextvars import Context, ContextVar
from decimal import Context as DecimalContext
from decimal import Decimal
from logging import Logger
from types import ModuleType
from typing import Any, Self, TypeAlias, final

from typing_extensions import disjoint_base

# column, converters, expression: as in SQLCompiler.get_converters()
_ConverterTriple: TypeAlias = tuple[
    int, Iterable[Callable[[Any, Any, Any], Any]], object
]
_TranslateError: TypeAlias = Callable[[Exception], BaseException]
# name, column, and whether to store past the class's descriptors
_AnnotationColumn: TypeAlias = tuple[str, int] | tuple[str, int, bool]

@disjoint_base
class CompiledConverter:
    def __init__(self, name: str) -> None: ...
    def __call__(self, value: Any, expression: Any, connection: Any) -> Any: ...

@final
class BooleanConverter(CompiledConverter): ...

@final
class DateConverter(CompiledConverter): ...

@final
class TimeConverter(CompiledConverter): ...

@final
class DateTimeConverter(CompiledConverter): ...

@final
class AwareConverter(CompiledConverter): ...

@final
class UUIDConverter(CompiledConverter): ...

@final
class DurationConverter(CompiledConverter): ...

@final
class DecimalConverter(CompiledConverter):
    def __init__(
        self,
        name: str,
        precision: int,
        exact: bool,
        quantum: Decimal | None = None,
        context: DecimalContext | None = None,
    ) -> None: ...

@disjoint_base
class TextReader:
    def __init__(self, otherwise: Callable[[str], Any]) -> None: ...

@final
class DateText(TextReader):
    def __call__(self, text: str) -> Any: ...

@final
class TimeText(TextReader):
    def __call__(self, text: str) -> Any: ...

@final
class DateTimeText(TextReader):
    def __call__(self, text: str) -> Any: ...

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
class TuplePlan(Plan): ...

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
        known: Iterable[KnownRelated] = (),
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
class KnownRelated:
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
    def __init__(
        self, plan: Plan, rows: list[Any], connection: object = None
    ) -> None: ...

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
        self,
        *classes: type[Any],
        asked: Callable[[], bool] | None = None,
        names: tuple[tuple[str, ...], ...] | None = None,
    ) -> None: ...
    def look(self, *dicts: dict[str, Any]) -> None: ...
    def unchanged(self) -> bool: ...
    def holds(self) -> bool: ...

@final
class AttributeHooks:
    def __init__(
        self,
        kind: type[Any],
        bound: str,
        quiet: frozenset[str],
        changed: Callable[[Any, str, object], None],
    ) -> None: ...
    def methods(self) -> tuple[Callable[..., None], Callable[..., None]]: ...

def all_hold(watches: tuple[ClassWatch, ...]) -> bool: ...
def saved_values(values: dict[str, Any], columns: list[Any]) -> list[Any] | None: ...

# The step before, Django's function, its args and kwargs.
_Step: TypeAlias = tuple[Any, Callable[..., Any], tuple[Any, ...], dict[str, Any]]
_Args: TypeAlias = tuple[Any, ...]
_KwArgs: TypeAlias = dict[str, Any]

@final
class Node:
    def __init__(self, slots: tuple[Any, ...], why_not: str, epoch: object) -> None: ...
    children: dict[Any, Node]
    entries: dict[Any, Any]
    seen: dict[Any, None] | None
    sets: dict[str, Any] | None
    used: int
    own: tuple[tuple[int, Hole], ...]
    why_not: str
    peeked: Any
    sticky: bool
    @property
    def slots(self) -> tuple[Any, ...]: ...
    @property
    def holes(self) -> tuple[Hole, ...]: ...
    @property
    def epoch(self) -> object: ...
    def has_seen(self, key: object) -> bool: ...

@final
class Path:
    def __init__(
        self,
        node: Node,
        steps: _Step | None,
        values: tuple[Any, ...],
        limits: tuple[int, int | None] | None = None,
        query: object = None,
        fresh: bool = False,
    ) -> None: ...
    @property
    def node(self) -> Node: ...
    @property
    def steps(self) -> _Step | None: ...
    @property
    def values(self) -> tuple[Any, ...]: ...
    @property
    def limits(self) -> tuple[int, int | None] | None: ...
    fresh: bool
    query: Any
    peek: Any
    led: tuple[str, Path] | None

@final
class Root:
    def __init__(self, kind: type[Any], node: Node, watch: ClassWatch) -> None: ...
    @property
    def node(self) -> Node: ...
    def holds(self) -> bool: ...

@final
class StepKeys:
    def __init__(
        self,
        *,
        plain: frozenset[type[Any]],
        model: type[Any],
        q: type[Any],
        safe_string: type[Any],
        enum: type[Any],
        lazy: type[Any],
        aggregates: frozenset[type[Any]],
        of_aggregate: frozenset[str],
    ) -> None: ...
    def key_of(
        self, kind: str, args: _Args, kwargs: _KwArgs
    ) -> tuple[Any, Any, bool]: ...
    def key_of_aggregates(
        self, kind: str, args: _Args, kwargs: _KwArgs
    ) -> tuple[Any, ...] | str: ...
    def kept_values(self, args: _Args, kwargs: _KwArgs) -> tuple[_Args, _KwArgs]: ...

@final
class Steps:
    def __init__(
        self,
        fresh: dict[str, Any],
        *,
        methods: frozenset[str],
        new: dict[str, Any],
        kept: tuple[str, ...],
        keys: StepKeys,
        learns_at_once: bool,
        is_made_once: Callable[[], bool],
    ) -> None: ...
    epoch: object
    learns_at_once: bool
    size: int
    clock: int
    hits: int
    late_filter: Any
    def on(self, queryset: Any) -> Path | None: ...
    def is_forgotten(self, queryset: Any) -> bool: ...
    def clone(self, queryset: Any) -> Any: ...
    def begin(self, manager: Any) -> Any: ...
    def begin_at(
        self, kind: type[Any], model: Any, db: Any, hints: Any, node: Node
    ) -> Any: ...
    def conditions(
        self, queryset: Any, name: str, function: Any, args: _Args, kwargs: _KwArgs
    ) -> Any: ...
    def put_off(
        self,
        queryset: Any,
        name: str,
        function: Any,
        negate: bool,
        args: _Args,
        kwargs: _KwArgs,
    ) -> Any: ...
    def names(
        self, queryset: Any, name: str, function: Any, args: _Args, kwargs: _KwArgs
    ) -> Any: ...
    def annotated(
        self, queryset: Any, name: str, function: Any, args: _Args, kwargs: _KwArgs
    ) -> Any: ...
    def step(
        self,
        queryset: Any,
        function: Any,
        key: object,
        items: list[Any] | None,
        args: _Args,
        kwargs: _KwArgs,
        may_change: bool,
    ) -> Any: ...
    def limited(
        self, queryset: Any, filter_by: Any, limit: Any, args: _Args, kwargs: _KwArgs
    ) -> Any: ...
    def limit(self, queryset: Any, function: Any) -> None: ...
    def sliced(self, queryset: Any, function: Any, low: Any, high: Any) -> Any: ...

@final
class Parameter:
    def __new__(
        cls,
        watch: ClassWatch,
        kind: type[Any],
        *,
        wrap: Callable[[Any], Any] | None = None,
        low: Any = None,
        high: Any = None,
        pattern: str | None = None,
        attname: str | None = None,
        many: bool = False,
        array: Callable[[list[Any]], tuple[bytes, int, int] | None] | None = None,
    ) -> Self: ...
    @property
    def kind(self) -> type[Any]: ...
    @property
    def attname(self) -> str | None: ...
    @property
    def many(self) -> bool: ...
    def param(self, value: Any) -> Any: ...

@final
class Hole:
    def __init__(
        self,
        kind: type[Any],
        lhs: Any,
        simple: bool,
        prepared: Parameter | None = None,
        vendor: str = "postgresql",
        watches: tuple[ClassWatch, ...] = (),
    ) -> None: ...
    prepared: Parameter | None
    @property
    def kind(self) -> type[Any]: ...
    @property
    def lhs(self) -> Any: ...
    @property
    def simple(self) -> bool: ...
    @property
    def vendor(self) -> str: ...
    def kept(self, value: Any, lookup: Any) -> Any: ...
    def lookup(self, value: Any) -> Any: ...
    def known(self, lookup: Any) -> Any: ...

@final
class Statement:
    def __init__(
        self,
        holes: tuple[Hole, ...],
        parts: list[Any],
        template_of: Callable[[str], bytes],
    ) -> None: ...
    compiler: Any
    made: Any
    make_plan: Any
    simple: tuple[str | None, ...]
    prepared: tuple[Parameter | None, ...]
    converters: Any
    no_limit: int | None
    models: tuple[tuple[Any, str], ...]
    lent: list[Any] | None
    columns: int
    calls_project: bool
    tail: str
    locks: bool
    binds: bool
    watches: tuple[ClassWatch, ...] | None
    cursor_iter: Any
    kind: type[Any]
    instances: bool
    used: int
    kinds: tuple[ClassWatch, ...]
    orderings: tuple[tuple[list[Any], tuple[Any, ...]], ...]
    @property
    def holes(self) -> tuple[Hole, ...]: ...
    @property
    def parts(self) -> list[Any]: ...
    def fill(
        self,
        path: Path,
        connections: Any,
        alias: str,
        arrays: list[tuple[bytes, int, int]] | None = None,
    ) -> tuple[str, tuple[Any, ...], bytes] | None: ...
    def compiler_for(self, wrapper: Any) -> Any: ...

def lead_of(name: str, args: tuple[Any, ...]) -> Any: ...
def around_limit(
    text: str, limits: tuple[int, int | None], no_limit: int | None
) -> tuple[str, str] | None: ...

@final
class Literals:
    def __init__(
        self,
        kinds: dict[type[Any], str],
        *,
        adapters_map: type[Any],
        text: Any,
        is_psycopgs: Callable[[type[Any], Any], bool],
        transformer: Callable[[Any], Any],
        is_utf8: Callable[[Any], bool],
    ) -> None: ...
    def written(self, raw: Any, params: Any) -> list[bytes]: ...

@final
class Sender:
    def __init__(
        self,
        watch_of: Callable[[type[Any]], ClassWatch],
        *,
        names: tuple[str, ...],
        connections: frozenset[type[Any]],
        cursor: type[Any],
        cursor_wrapper: type[Any],
        utils: dict[str, Any],
        settings: Any,
        apps: Any,
        running_loop: Callable[[], Any],
        refuse: Callable[[], None],
        tuple_row: Any,
        literals: Literals,
        merged: Callable[..., bytes],
        execute: Callable[[Any], Any],
        result_format: Any,
        failed: Callable[[Any, Exception], Any],
        more_results: Callable[[Any, list[Any]], Any],
        round_trips: RoundTrips,
        in_transaction: Callable[[Any, bytes], Any],
        join: Callable[[Any, bytes], list[Any] | None],
        binding_cursor: type[Any],
        integers: tuple[type[int], ...],
        kinds: dict[type[Any], tuple[int, Callable[[Any], bytes | None], Any]],
        is_dumper: Callable[[type[Any], Any], bool],
        manager_of: Callable[[Any], Any],
        forgotten: Callable[[Any, Bound, bytes, Any], bool],
        no_prepare: Any,
        should_prepare: Any,
    ) -> None: ...
    def unobserved(self, wrapper: Any) -> Any: ...
    def bound(
        self, raw: Any, template: bytes, params: tuple[Any, ...]
    ) -> Bound | None: ...
    def text(self, raw: Any, sql: str, params: Any) -> bytes: ...
    def send(
        self,
        wrapper: Any,
        raw: Any,
        sql: str,
        params: Any,
        template: bytes | None = None,
        bound: Bound | None = None,
        arrays: list[tuple[bytes | None, int, int]] | None = None,
    ) -> Any: ...

@final
class WaitingRead: ...

@final
class Bound:
    @property
    def query(self) -> bytes: ...
    @property
    def types(self) -> tuple[int, ...]: ...
    @property
    def values(self) -> list[bytes | None]: ...
    @property
    def formats(self) -> list[Any]: ...

def operation(
    sender: Sender,
    raw: Any,
    query: bytes,
    arrays: list[tuple[bytes | None, int, int]] | None = None,
) -> Generator[Any, Any, Any]: ...
def bound_operation(
    sender: Sender, raw: Any, bound: Bound, again: bool = False
) -> Generator[Any, Any, Any]: ...

@final
class Reader:
    def __init__(
        self,
        sender: Sender,
        *,
        decoders_of: Callable[[Any], Any],
        json_loader: type[Any],
        converted: Callable[..., Any],
        failed: Callable[..., Any],
        takes_arrays: Callable[[Any], bool],
    ) -> None: ...
    def read(
        self,
        wrapper: Any,
        plan: Plan,
        types: Any,
        columns: int,
        sql: str,
        params: Any,
        template: bytes | None,
        binds: bool = False,
        arrays: list[tuple[bytes, int, int]] | None = None,
    ) -> Batch | None: ...

@final
class QuerysetCall:
    def __init__(
        self, queryset: Any, args: _Args = (), kwargs: _KwArgs | None = None
    ) -> None: ...
    queryset: Any
    args: _Args
    kwargs: _KwArgs
    limited: Any
    alias: Any
    of_get: bool
    @property
    def path(self) -> Path: ...

@final
class StatementRun:
    def written_out(self) -> tuple[str, tuple[Any, ...]]: ...

@final
class Databases:
    def __init__(
        self,
        names: dict[str, Any],
        watch: ClassWatch,
        *,
        kind: type[Any],
        db: Any,
        default: str,
    ) -> None: ...

@final
class KnownStatements:
    def __init__(
        self,
        steps: Steps,
        *,
        iterates: dict[type[Any], Any],
        fetch_modes: frozenset[type[Any]],
        receivers: tuple[Any, ...],
        compilers: dict[str, Any],
        running_loop: Callable[[], Any],
        connections: Any,
        holds: Callable[[Statement], bool],
        plan_for: Callable[[Statement, Any, str], tuple[Any, Any, Any]],
        missed: tuple[type[BaseException], ...],
        verify: Callable[..., None] | None,
        databases: Databases,
        routes: Routes,
        announce: Callable[[Statement, Any, str], None],
        reader: Reader | None,
        by_cursor: Callable[..., Batch],
        fetch: Callable[..., Batch],
        in_turns: Callable[[Batch], list[Any]],
        many: int,
        of_querysets: Any,
        of_one: Any,
        ask_rows: Any,
        forget: Callable[[], None],
    ) -> None: ...
    verify: Callable[..., None] | None
    reader: Reader | None
    fetch: Callable[..., Batch]
    def kind_of_rows(self, values: dict[str, Any]) -> tuple[Any, Any] | None: ...
    def values(
        self, call: QuerysetCall, kind: object, ask: Any
    ) -> list[Any] | None: ...
    def rows(self, call: QuerysetCall) -> list[Any] | None: ...
    def stream(self, call: QuerysetCall) -> tuple[Any, ...] | None: ...
    def rows_led(self, call: QuerysetCall, name: str) -> list[Any] | None: ...
    def rows_of_get(
        self, call: QuerysetCall, filter_by: Any, limit: Any
    ) -> list[Any] | None: ...

@final
class StraightReads:
    def __new__(
        cls,
        statements: KnownStatements,
        *,
        methods: dict[
            Any, tuple[int, str | None, Callable[[QuerysetCall, list[Any]], Any]]
        ],
        filter_by: Any,
        limit: Any,
    ) -> Self: ...
    def begin(self, worker: object, call: list[Any]) -> StraightRead | None: ...

@disjoint_base
class RoundTrip:
    @property
    def wait(self) -> Wait | None: ...
    error: BaseException | None

@final
class StraightRead(RoundTrip):
    def end(self, value: object) -> bool: ...
    def go_on(self) -> Any: ...

@final
class ThreadLocals:
    for_threads: bool
    def __new__(cls, for_threads: bool = False) -> Self: ...
    def shared(self) -> SharedThreadLocals: ...
    def call(self, function: Callable[..., Any], *args: Any) -> Any: ...
    def clear(self) -> None: ...
    def __bool__(self) -> bool: ...

@final
class SharedThreadLocals:
    def __new__(cls, of_set: ThreadLocals) -> Self: ...
    def call(self, function: Callable[..., Any], *args: Any) -> Any: ...
    def tell_new(self) -> None: ...

@final
class LentThreadLocals:
    def __new__(cls, otherwise: object) -> Self: ...
    def is_here(self) -> bool: ...
    def lend(self) -> None: ...
    def take_back(self) -> bool: ...
    def call(self, function: Callable[..., Any], *args: Any) -> Any: ...

@final
class Wait:
    _asyncio_future_blocking: bool
    @property
    def context(self) -> Context | None: ...
    def __init__(self, *, loop: AbstractEventLoop) -> None: ...
    def get_loop(self) -> AbstractEventLoop: ...
    def add_done_callback(
        self, callback: Callable[[Wait], object], *, context: Context | None = None
    ) -> None: ...
    def remove_done_callback(self, callback: Callable[[Wait], object]) -> int: ...
    def cancel(self, msg: object = None) -> bool: ...
    def cancelled(self) -> bool: ...
    def done(self) -> bool: ...
    def result(self) -> Any: ...
    def exception(self) -> BaseException | None: ...
    def set_exception(self, exception: BaseException) -> None: ...
    def resolve(self, result: object) -> None: ...
    def fail(self, exception: BaseException) -> None: ...
    def __await__(self) -> Self: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> Self: ...

@final
class Bridge:
    @property
    def counted(self) -> int: ...
    @property
    def steps(self) -> int: ...
    def __init__(
        self,
        *,
        names: dict[str, Any],
        resume: Callable[..., Any],
        worker: type[Any],
        getcurrent: Callable[[], Any],
        get_running_loop: Callable[[], AbstractEventLoop | None],
        set_running_loop: Callable[[AbstractEventLoop | None], None],
        swap_current_task: Callable[[AbstractEventLoop, Any], Any] | None,
        greenlet_exit: type[BaseException],
        finish: Callable[[Any, list[Any]], Any],
        idle: int,
    ) -> None: ...
    def go_on(self, worker: Any, loop: AbstractEventLoop, value: object) -> Any: ...
    def count_steps(self) -> int: ...
    def call_unseen(self, function: Callable[[Any], Any], argument: Any) -> Any: ...
    def end(self, worker: Any, idle: list[Any]) -> Any: ...
    def call_for_driven(self, worker: Any, call: list[Any]) -> Any: ...
    def end_call(self, worker: Any) -> None: ...

@final
class Caller:
    def __new__(cls, bridge: Bridge, *, current_task: Callable[[Any], Any]) -> Self: ...
    def in_bridge(self) -> bool: ...
    def can_wait(self) -> bool: ...
    def serves(self, loop: AbstractEventLoop) -> bool: ...

@final
class DrivenSteps:
    def __new__(
        cls,
        bridge: Bridge,
        *,
        current_task: Callable[[AbstractEventLoop], Any],
        hand_on: Callable[[Any], Any],
        go_on: Callable[[Any, Any, Any], Any],
        waiting_worker: Callable[[Any], Any],
    ) -> Self: ...
    def drive_alone(self, coroutine: Any) -> Any: ...
    def take(self, worker: Any, coroutine: Any) -> Any: ...

def lazy_reader(kind: type[Any]) -> Callable[[Any, str], Any]: ...
def query_dict_initialiser(
    kind: type[Any],
    module: dict[str, Any],
    functions: FunctionWatch,
    watch: ClassWatch,
) -> Callable[..., None]: ...
def cookie_parser(
    otherwise: Callable[[str], dict[str, str]], functions: FunctionWatch
) -> Callable[[str], dict[str, str]]: ...
def environ_readers(
    script_name: Callable[[Any], str],
    path_info: Callable[[Any], str],
    functions: FunctionWatch,
) -> tuple[Callable[[Any], str], Callable[[Any], str]]: ...
def host_getter(
    kind: type[Any], module: dict[str, Any], functions: FunctionWatch, pattern: str
) -> Callable[[Any], str]: ...

@final
class ScopeRequests:
    def __init__(
        self,
        kind: type[Any],
        *,
        asgi: dict[str, Any],
        functions: FunctionWatch,
        parsers: FunctionWatch,
        watch: ClassWatch,
        names: tuple[str, ...],
        cookies_first: bool,
    ) -> None: ...
    def initialiser(self) -> Callable[[Any, Any, Any], None]: ...

@final
class LocalMethods:
    def __init__(
        self,
        owner: type[Any],
        kind: type[Any],
        storage: type[Any],
        watch: ClassWatch,
        threading: dict[str, Any],
    ) -> None: ...
    def methods(self) -> tuple[Callable[..., Any], ...]: ...

@final
class FunctionWatch:
    def __init__(
        self, *places: tuple[dict[str, Any], str], asked: Callable[[], bool]
    ) -> None: ...
    def holds(self) -> bool: ...

@final
class TemplateMethods:
    def __init__(
        self,
        base: dict[str, Any],
        contexts: tuple[type[Any], type[Any]],
        context_dict: type[Any],
        safe: type[Any],
        logger_class: type[Any],
        logs: tuple[Any, Any],
        watch: ClassWatch,
        functions: FunctionWatch,
        methods: LocalMethods | None,
        formats: dict[str, Any],
        numbers: dict[str, Any],
        translation: dict[str, Any],
        translations: dict[str, Any],
        untranslated: dict[str, Any],
        debugger: Callable[[int], Any] | None,
        nodes: ClassWatch,
        loop: type[Any],
        has_length: bool,
    ) -> None: ...
    def of_templates(self) -> tuple[Callable[..., Any], ...]: ...
    def of_nodes(self) -> tuple[Callable[..., Any], ...]: ...
    def of_contexts(self) -> tuple[Callable[..., Any], ...]: ...

@final
class HeaderMethods:
    def __init__(
        self, of_request: type[Any], of_response: type[Any], watch: ClassWatch
    ) -> None: ...
    def lookups(self, mapping: type[Any]) -> tuple[Callable[..., Any], ...]: ...
    def methods_of_response(self) -> tuple[Callable[..., Any], ...]: ...
    def init_of_request(self) -> Callable[..., Any]: ...

@final
class JSONTexts:
    def __init__(
        self,
        kind: type[Any],
        watch: ClassWatch,
        names: dict[str, Any],
        encoder_names: dict[str, Any],
    ) -> None: ...

@final
class ResponseMethods:
    def __init__(
        self,
        headers: HeaderMethods,
        texts: JSONTexts | None,
        *,
        base: type[Any],
        kind: type[Any],
        json: type[Any],
        names: dict[str, Any],
        own: tuple[Any, ...],
        json_module: ModuleType,
    ) -> None: ...
    def init_methods(self) -> tuple[Callable[..., Any], ...]: ...
    def charset_reader(self) -> Callable[[Any], Any]: ...
    def content_setter(self, content: property) -> Callable[[Any, Any], Any]: ...
    def encoded_headers(self, response: Any) -> list[tuple[bytes, bytes]] | None: ...

MATCH_NAMES: tuple[str, ...]

def python_function(before: Any, run: Callable[..., Any]) -> Any: ...

@final
class OwnNames:
    def __init__(self, kind: type[Any], names: tuple[str, ...]) -> None: ...

@final
class RegexText:
    def __init__(self, regex: re.Pattern[str]) -> None: ...

@final
class RegexTexts: ...

@final
class Found: ...

@final
class ResolverMatches:
    def __init__(self, kind: type[Any]) -> None: ...

@final
class UrlMatching:
    def __init__(
        self, names: dict[str, Any], converters: dict[str, Any], by_regex: bool
    ) -> None: ...

@final
class UrlPatterns:
    def __init__(
        self,
        otherwise: Callable[[Any, str], Any],
        watch: ClassWatch,
        *,
        names: dict[str, Any],
        converters: dict[str, Any],
        by_regex: bool,
    ) -> None: ...
    def method(self) -> Callable[[Any, str], Any]: ...

@final
class UrlReversing:
    def __init__(
        self,
        otherwise: Callable[..., str],
        watch: ClassWatch,
        functions: FunctionWatch,
        *,
        names: dict[str, Any],
        base: dict[str, Any],
        converters: dict[str, Any],
        templates: TemplateMethods,
    ) -> None: ...
    def method(self) -> Callable[..., str]: ...

@final
class UrlNodes:
    def __init__(
        self,
        watch: ClassWatch,
        functions: FunctionWatch,
        *,
        urls: dict[str, Any],
        tags: dict[str, Any],
        templates: TemplateMethods,
        reversing: UrlReversing,
    ) -> None: ...
    def method(self) -> Callable[[Any, Any], str]: ...

@final
class IdleConnections:
    def __init__(
        self, *, names: dict[str, Any], logger: Logger, client: type[Any]
    ) -> None: ...
    def is_quiet(self, pool: Any) -> bool: ...
    def take(self, pool: Any) -> Any: ...
    def give(self, pool: Any, session: Any) -> bool: ...

@final
class HiddenWrappers:
    def __init__(
        self,
        *,
        new: Callable[[Any, Any, Any, Any, Any], Any],
        build: Callable[[Any], object],
        names: tuple[str, ...],
        watch_of: Callable[[type[Any]], ClassWatch],
        entered_scope: ContextVar[Any],
    ) -> None: ...
    def connect(
        self, wrapper: Any, replay: Any, entry: Any, session: Any, gate: Any
    ) -> Any: ...
    def finish_at_once(self, wrapper: Any) -> bool: ...

@final
class Routes:
    def __init__(
        self,
        bridge: Bridge,
        hidden: HiddenWrappers,
        *,
        entered_block: ContextVar[Any],
        wrapper_for: Callable[[str], Any],
        connections: Any,
        created: Any,
        forks: dict[str, Any],
        wait: Callable[[Any, str, Any, Any, Any], Any],
        take: Callable[[Any, Any, Any, Any, Any], Any],
    ) -> None: ...
    def of_block(self, block: Any, alias: str) -> Any: ...

@final
class Turns:
    def __new__(
        cls,
        bridge: Bridge,
        *,
        entered_scope: ContextVar[Any],
        outer_call: ContextVar[Any],
    ) -> Self: ...
    def take(self, gate: Any) -> bool: ...

@final
class Readable:
    def __init__(self, channel: Any, ready: int) -> None: ...
    def __call__(self) -> None: ...

@final
class RoundTrips:
    def __init__(
        self,
        bridge: Bridge,
        turns: Turns,
        *,
        view: type[Any],
        watch: ClassWatch,
        names: dict[str, Any],
        reads: int,
    ) -> None: ...

def forget_readers() -> None: ...
def state_finalizer(state: Any) -> None: ...
def state_finalizer_for(state_class: type[Any]) -> Callable[[Any], None]: ...
def build_info() -> dict[str, str]: ...
