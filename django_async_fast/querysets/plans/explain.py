"""`explain_plan(queryset)`: how the core will build its rows, in words."""

from dataclasses import dataclass
from typing import Any

from ... import _native
from .. import iterables, streams
from ..compiled import execution, paths
from . import plan_cache, row_plan
from .result_format import types_of


@dataclass(frozen=True)
class Column:
    """One column of the result."""

    name: str
    field: str
    # The column's type as the field declares it: its decoder, in the result's format.
    type: str
    # Why it keeps the whole result in text; '' if it does not.
    why_text: str
    converted: bool


@dataclass(frozen=True)
class PlanExplanation:
    """What `explain_plan()` found; `str()` of it is for people."""

    output: str
    columns: tuple[Column, ...]
    # Why Django's own code builds the rows; '' where the core does.
    why_django: str
    # Model -> why its instances are made by from_db(); '' if they are not.
    instances: dict[str, str]
    # Why Django builds and compiles its query; '' where it is known from before.
    why_built: str = ""
    # Whether the database's driver loads the values: it is not PostgreSQL.
    loaded: bool = False

    @property
    def binary(self) -> bool:
        """Whether the result is asked for in binary."""
        if self.why_django or self.loaded:
            return False
        return not any(c.why_text for c in self.columns)

    def __str__(self) -> str:
        if self.why_django:
            return f"{self.output}: built by Django, because {self.why_django}"
        known = self.why_built or "known from before, only filled in"
        lines = [f"{self.output}: built by the core"]
        format_ = "values of the driver" if self.loaded else "text"
        lines.append(f"result: {'binary' if self.binary else format_}")
        for column in self.columns:
            notes = [column.field, column.type, column.why_text]
            notes.append("converted" * column.converted)
            lines.append(f"  {column.name}: {', '.join(filter(None, notes))}")
        for model, reason in self.instances.items():
            made = f"made by from_db(): {reason}" if reason else "filled directly"
            lines.append(f"instances of {model}: {made}")
        lines.append(f"statement: {known}")
        return "\n".join(lines)


def explain_plan(queryset: Any) -> PlanExplanation:
    """Return how the rows of `queryset` will be built. Compiles, but runs no query."""
    kind = queryset._iterable_class
    why_built = execution.why_built(queryset)
    if (path := paths.on(queryset)) is not None:
        queryset = paths.djangos(queryset, path)  # it stays as it is
    compiler = queryset.query.get_compiler(queryset.db)
    compiler.as_sql()
    return PlanExplanation(
        output=kind.__name__,
        columns=tuple(_columns(compiler)),
        why_django=_why_django(kind, queryset, compiler),
        instances={
            model.__name__: row_plan.why_from_db(model)
            for model in row_plan.models_of(compiler.klass_info)
        },
        why_built=why_built,
        loaded=compiler.connection.vendor != "postgresql",
    )


def _why_django(kind: type[Any], queryset: Any, compiler: Any) -> str:
    if not _native.COMPILED:
        return f"the compiled core is not in use ({_native.REASON})"
    if kind not in iterables.PLANS:
        return f"{kind.__name__} is not one of Django's iterables"
    if reason := streams.why_not(compiler):
        return reason
    try:
        plan_cache.plan_for(iterables.PLANS[kind], queryset, compiler)
    except row_plan.Declined as declined:
        return str(declined)
    return ""


def _columns(compiler: Any) -> Any:
    expressions = row_plan.selected(compiler)
    converters = compiler.get_converters(expressions)
    types = types_of(compiler)
    loaded = compiler.connection.vendor != "postgresql"
    for i, expression in enumerate(expressions):
        field = getattr(expression, "output_field", None)
        target = getattr(expression, "target", None)
        yield Column(
            name=compiler.select[i][2] or getattr(target, "attname", f"column {i + 1}"),
            field=type(field).__name__,
            type=(field and field.db_type(compiler.connection)) or "",
            why_text="" if loaded else types.why_text(i),
            converted=i in converters,
        )
