"""What UPDATEs and DELETEs of a queryset that is a path have in common.

In: the queryset's conditions, as `paths` has them, and what is written besides. Out:
the statement, whose conditions are filled in as those of the queryset's rows (`entry`).

Key: with the path's node, what else decides the text. Bound and end: as the node's
other statements (`tree`).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import transaction

from . import authors, entry, verify, writes
from .holes import punch
from .keys import Missed
from .paths import replay

# How a value that comes before the conditions becomes a parameter.
Prepare = Callable[[Any, Any], Any]


class FilteredWrite(writes.Write):
    """A compiled statement, and how what comes before its conditions is prepared."""

    __slots__ = ("prepare", "where")

    # Besides those of Write: what is not called here.
    not_called: tuple[tuple[Any, ...], ...] = ()

    def __init__(
        self, compiler: Any, text: str, fields: Any, prepare: list[Prepare], where: Any
    ) -> None:
        super().__init__(compiler, text, None, fields, *self.not_called)
        self._watches += where.kinds
        self.prepare = prepare
        # The statement, but for the parameters that come first.
        self.where = where


class FilteredCall(writes.WriteCall):
    """One call of a write of a queryset's rows."""

    write: type[FilteredWrite] = FilteredWrite

    def __init__(self, queryset: Any, path: Any, using: str) -> None:
        self.using = using
        self.known = path.node.entries
        self.queryset = queryset
        self.path = path

    def compiler(self, query: Any, *, is_blank: bool = False) -> Any:
        """Return Django's compiler of the write of a query's rows.

        With no values of this call if it `is_blank`, but those of its conditions.
        """
        raise NotImplementedError

    def prepares(self, compiler: Any) -> list[Prepare] | None:
        """Return how each of `given()` is prepared, None for Django's way."""
        return [] if writes.can_compile(compiler, ()) else None

    def given(self) -> list[Any]:
        """Return what becomes parameters, before the conditions'."""
        return []

    def compiled(self) -> FilteredWrite | None:
        query = replay(self.queryset, self.path)
        djangos = self.compiler(query)
        # Before its text, for which some compilers ask the database.
        prepare = self.prepares(djangos)
        if prepare is None or query.annotations:
            return None
        with authors.compiled_nodes(djangos.connection) as nodes:
            punched = punch(query, self.path.node.slots)
            compiler = self.compiler(punched, is_blank=True)
            text, constants = compiler.as_sql()
        authors.check(compiler, nodes)
        # An entry takes numbers for constants.
        numbers = [0] * len(prepare)
        parts = [*entry.parts(text, [*numbers, *constants[len(prepare) :]])]
        first, given = parts[0]
        parts[0] = first, given[len(prepare) :]
        where = entry.new(self.path.node.holes, parts)
        where.compiler = compiler
        entry.simplify(where, self.path, compiler.connection, nodes)
        compiler.connection = None
        if None not in where.simple:
            where.compiler = None
        # Nothing of this call is kept.
        vars(compiler.query).pop("values", None)
        made, params, _ = entry.fill(where, self.path, self.using)
        wanted, wanted_params = self.compiler(query, is_blank=True).as_sql()
        if made != wanted or not verify.are_same(params, wanted_params[len(prepare) :]):
            return None
        fields = [field for field, _, _ in getattr(djangos.query, "values", ())]
        return self.write(djangos, text, fields, prepare, where)

    def statement(self, write: FilteredWrite, wrapper: Any) -> writes.Statement:
        arrays: list[Any] = []
        found = self._written_out(write, wrapper, arrays)
        if not arrays:
            return found
        return *found, arrays, partial(self._written_out, write, wrapper)

    def _written_out(
        self, write: FilteredWrite, wrapper: Any, arrays: Any = None
    ) -> writes.Statement:
        """Return what is to be sent, very many values in `arrays`. Raises Missed."""
        text, where, template = entry.fill(write.where, self.path, self.using, arrays)
        try:
            params = [
                prepare(value, wrapper)
                for prepare, value in zip(write.prepare, self.given(), strict=True)
            ]
        except Missed:
            raise
        except Exception:
            with transaction.mark_for_rollback_on_error(using=self.using):
                raise
        return text, [*params, *where], template

    def as_sql(self) -> tuple[str, Any]:
        compiler = self.compiler(replay(self.queryset, self.path))
        text, params = compiler.as_sql()
        return text, params
