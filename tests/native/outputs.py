"""Every output of the core and every way to fail, as plans of rows of five columns."""

import collections
import types
from collections.abc import Callable
from typing import Any

import pytest
from django.db import models

from . import plans
from .plans import Tableless, nothing

rows = pytest.importorskip("django_async_fast._rows")


class Author(Tableless):
    name = models.TextField()


class Book(Tableless):
    title = models.TextField()
    author = models.ForeignKey(Author, models.CASCADE, null=True)


class Planned(Exception):
    """The failure that a test asked for."""


class Picky(Author):
    """Its instances cannot be made."""

    class Meta:
        app_label = "rows"
        proxy = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        raise Planned

    tag = property(lambda self: None, lambda self, value: fail())


class PickyState:
    """It has no place for `db`."""

    __slots__ = ("adding",)


class Value:
    """What sits in a column."""


def fail(*_: Any) -> Any:
    raise Planned


VALUE = Value()
NAMES = [f"name_{i}" for i in range(70)]
Five = collections.namedtuple("Five", "a b c d e")


def model_plan(model: Any = Author, start: int = 0, **options: Any) -> Any:
    return plans.model_plan(model, start, width=5, **options)


def related(**options: Any) -> Any:
    inner = options.pop("inner", {})
    relation = rows.Relation(model_plan(Author, 3, **inner), **options)
    return model_plan(Book, relations=[relation])


def converted(*functions: Any, column: int = 0) -> Any:
    return rows.TuplePlan(width=5, converters=[(column, functions, "expression")])


def known(
    related: Any, *attnames: str, is_cached: Any = nothing, **options: Any
) -> Any:
    field = types.SimpleNamespace(name="found", is_cached=is_cached)
    known = rows.KnownRelated(field, related, attnames or ["author_id"])
    return model_plan(Book, known=[known], **options)


class Unhashable:
    __hash__ = fail  # type: ignore[assignment]


OUTPUTS: dict[str, Callable[[], Any]] = {
    "tuple": lambda: rows.TuplePlan(width=5),
    "flat": lambda: rows.FlatPlan(width=5),
    "named": lambda: rows.NamedPlan(Five, width=5),
    "dict": lambda: rows.DictPlan(NAMES[:5], width=5),
    "converted": lambda: converted(lambda value, *_: [value], lambda value, *_: value),
    "instances": model_plan,
    "no fetch mode": lambda: model_plan(fetch_mode=None),
    "deferred": lambda: model_plan(Book, columns=[("id", 0)]),
    "annotations": lambda: model_plan(annotations=[("n", 1), ("m", 2, True)]),
    "odd annotations": lambda: model_plan(
        annotations=[("pk", 1), ("_state", 0, True), ("x" * 3, 1)]
    ),
    "from_db": lambda: model_plan(from_db=Author.from_db),
    "from_db with lists": lambda: model_plan(
        from_db=Author.from_db, converters=[(1, (lambda value, *_: [value],), None)]
    ),
    "select_related": lambda: related(local_setter=nothing, remote_setter=nothing),
    "select_related, stored": lambda: related(local_cache="author"),
    "select_related, stored both ways": lambda: related(
        local_cache="author", remote_cache="book"
    ),
    "select_related by from_db": lambda: related(
        local_cache="author", remote_cache="book", inner={"from_db": Author.from_db}
    ),
    "known": lambda: known({VALUE: "author"}),
    "not known": lambda: known({5: "author"}),
    "known by two": lambda: known({(VALUE, VALUE): "author"}, "id", "author_id"),
    "known, deferred": lambda: known({VALUE: "author"}, "absent"),
}

# A plan that tracks peers is for one run: it holds what it has built.
FOR_ONE_RUN: dict[str, Callable[[], Any]] = {
    "peers": lambda: model_plan(track_peers=True),
    "peers from from_db": lambda: model_plan(from_db=Author.from_db, track_peers=True),
    "related peers": lambda: related(local_cache="author", inner={"track_peers": True}),
}

FAILURES: dict[str, Callable[[], Any]] = {
    "converter": lambda: converted(fail),
    "converter after others": lambda: converted(lambda v, *_: [v], fail, column=4),
    "StopIteration": lambda: converted(lambda *_: next(iter(()))),
    "Model.__init__": lambda: model_plan(Picky, from_db=Picky.from_db),
    "from_db": lambda: model_plan(from_db=fail),
    "from_db without a state": lambda: model_plan(
        from_db=lambda *_: VALUE, track_peers=True
    ),
    "state": lambda: model_plan(state_class=PickyState),
    "annotation": lambda: model_plan(Picky, annotations=[("n", 1), ("tag", 2)]),
    "local setter": lambda: related(local_setter=fail),
    "remote setter": lambda: related(local_cache="author", remote_setter=fail),
    "related instance": lambda: related(local_cache="a", inner={"from_db": fail}),
    "known field": lambda: known({}, is_cached=fail),
    "known key": lambda: known({}, converters=[(2, (lambda *_: Unhashable(),), None)]),
    "short rows": lambda: rows.TuplePlan(width=6),
    "short wide rows": lambda: rows.TuplePlan(width=70),
    "error translated": lambda: rows.TuplePlan(
        width=6, translate_error=lambda error: Planned()
    ),
    "error left alone": lambda: rows.TuplePlan(
        width=6, translate_error=lambda error: error
    ),
    "translation": lambda: rows.TuplePlan(width=6, translate_error=fail),
}
