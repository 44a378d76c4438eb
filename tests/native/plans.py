"""Plans of models without tables, and the rows that they are given."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import models
from django.db.models.base import ModelState

rows = pytest.importorskip("django_async_fast._rows")

# None before Django 6.1.
FETCH_ONE = getattr(models, "FETCH_ONE", None)
FETCH_MODES = FETCH_ONE is not None


class Tableless(models.Model):
    class Meta:
        abstract = True
        app_label = "rows"


class Writer(Tableless):
    name = models.CharField(max_length=20)


class Address(Tableless):
    writer = models.OneToOneField(Writer, models.CASCADE, related_name="address")
    city = models.TextField()


class Story(Tableless):
    title = models.TextField()
    writer = models.ForeignKey(Writer, models.CASCADE, null=True, related_name="penned")
    editor = models.ForeignKey(Writer, models.CASCADE, null=True, related_name="edited")
    pages = models.IntegerField(default=0)


class Vetted(Tableless):
    """Its class notices how it is made."""

    name = models.TextField()

    @classmethod
    def from_db(cls, db: Any, field_names: Any, values: Any, **kwargs: Any) -> Any:
        new = super().from_db(db, field_names, values, **kwargs)
        new.seen = (db, field_names, values, kwargs)
        return new


class Thing:
    """Something to count references to."""


def source_of(*batches: Any) -> Callable[[], Any]:
    return iter([*batches, None]).__next__


def build(plan: Any, *values: Any) -> list[Any]:
    return list(rows.RowIterator(source_of(rows.TupleBatch(plan, list(values)))))


def model_plan(model: Any, start: int = 0, **options: Any) -> Any:
    attnames = [field.attname for field in model._meta.concrete_fields]
    columns = [(name, column) for column, name in enumerate(attnames, start)]
    options.setdefault("columns", columns)
    options.setdefault("width", start + len(attnames))
    if "from_db" not in options:
        options.setdefault("state_class", ModelState)
    options.setdefault("fetch_mode", FETCH_ONE)
    return rows.ModelPlan(model=model, db="default", pk_column=start, **options)


def from_db(model: Any, values: Any, attnames: Any = None) -> Any:
    attnames = attnames or [field.attname for field in model._meta.concrete_fields]
    extra = {"fetch_mode": FETCH_ONE} if FETCH_MODES else {}
    return model.from_db("default", attnames, values, **extra)


def anatomy(obj: Any) -> Any:
    """All that tells one instance from another, in order; by value, cycles cut."""
    return _anatomy(obj, set())


def _anatomy(obj: Any, seen: set[int]) -> Any:
    if isinstance(obj, (models.Model, ModelState)):
        if id(obj) in seen:
            return "seen"
        seen.add(id(obj))
        values = vars(obj).copy()
        if cache := values.pop("fields_cache", None):  # made when it is asked for
            values["fields_cache"] = cache
        return type(obj), _anatomy(values, seen)
    if isinstance(obj, dict):
        return [(name, _anatomy(value, seen)) for name, value in obj.items()]
    return type(obj), obj


class Failing:
    """A converter, setter or from_db() that fails with its value."""

    def __call__(self, value: Any, *_: Any) -> Any:
        raise ZeroDivisionError(value)


def ready(*items: Any) -> Any:
    return rows.ListBatch(list(items))


def nothing(*_: Any) -> None:
    pass


class KnownField:
    """A field of known related objects, for one attribute or for two."""

    name = "known_object"

    def __init__(self, cached: bool = False) -> None:
        self.cached = cached

    def is_cached(self, obj: Any) -> bool:
        return self.cached
