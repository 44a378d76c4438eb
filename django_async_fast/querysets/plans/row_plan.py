"""A compiled query -> the plan by which the core builds its rows, once per query.

Plans say what Django's iterables in `django.db.models.query` do per row. What
cannot be said is declined with a reason, and Django's own code runs.

In: a queryset and its compiled query.
Out: a row plan of the core, or Declined.
Next: `drivers/psycopg/server_cursor.py`.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from typing import Any

import django
from django.db import models as django_models
from django.db.models import Field, Model
from django.db.models import query as django_query
from django.db.models.base import ModelState
from django.db.models.fields.files import FileDescriptor, ImageFileDescriptor
from django.db.models.fields.mixins import FieldCacheMixin
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import post_init, pre_init
from django.db.models.utils import create_namedtuple_class

from ... import _native
from ...unpatched import Unpatched
from .. import changes

# On a fresh instance their `__set__` is a store into `__dict__`.
PLAIN_DESCRIPTORS = (
    DeferredAttribute,
    ForeignKeyDeferredAttribute,
    FileDescriptor,
    ImageFileDescriptor,
)
# Django's own classes of fetch modes; before Django 6.1 querysets have none.
FETCH_MODES: frozenset[type[Any]] = frozenset(
    type(getattr(django_models, name, None))
    for name in ("FETCH_ONE", "FETCH_PEERS", "FETCH_RAISE")
)
SET_CACHED_VALUE = FieldCacheMixin.set_cached_value


class Declined(Exception):
    """The plan cannot say this query; the message is the reason, for people."""


def tuples(queryset: Any, compiler: Any, common: dict[str, Any]) -> Any:
    """Plan of `values_list()`."""
    return _native.rows.TuplePlan(**common)


def flat(queryset: Any, compiler: Any, common: dict[str, Any]) -> Any:
    """Plan of `values_list(flat=True)`."""
    return _native.rows.FlatPlan(**common)


def named(queryset: Any, compiler: Any, common: dict[str, Any]) -> Any:
    """Plan of `values_list(named=True)`."""
    names = queryset._fields or _value_names(queryset.query)
    return _native.rows.NamedPlan(tuple_class=create_namedtuple_class(*names), **common)


def dicts(queryset: Any, compiler: Any, common: dict[str, Any]) -> Any:
    """Plan of `values()`."""
    return _native.rows.DictPlan(names=names_of_values(queryset.query), **common)


def names_of_values(query: Any) -> list[str]:
    """Return the names that values() selects, in their order."""
    # Django 6.0 and later keep that in `selected`.
    return list(getattr(query, "selected", None) or _value_names(query))


def _value_names(query: Any) -> list[str]:
    return [*query.extra_select, *query.values_select, *query.annotation_select]


def models(queryset: Any, compiler: Any, common: dict[str, Any]) -> Any:
    """Plan of a queryset of model instances."""
    select, klass_info = compiler.select, compiler.klass_info
    # Not `queryset.db`, which asks the routers anew.
    db, fetch_mode = compiler.using, getattr(queryset, "_fetch_mode", None)
    start = klass_info["select_fields"][0]
    end = klass_info["select_fields"][-1] + 1
    attnames = [column[0].target.attname for column in select[start:end]]
    model = klass_info["model"]
    extra = () if fetch_mode is None else (fetch_mode,)
    populators = django_query.get_related_populators(klass_info, select, db, *extra)
    return _native.rows.ModelPlan(
        **_instance(
            model, db, fetch_mode, zip(attnames, range(start, end), strict=True)
        ),
        annotations=_annotations(model, compiler.annotation_col_map),
        relations=[_relation(each, db, fetch_mode, common) for each in populators],
        known=_known(queryset, attnames),
        **common,
    )


def raw(
    queryset: Any, compiler: Any, common: Callable[[Any, Any], dict[str, Any]]
) -> Any:
    """Plan of an executed RawQuerySet, whose columns are named by its result."""
    names, positions, annotations = queryset.resolve_model_init_order()
    model, fields = queryset.model, map(queryset.model_fields.get, queryset.columns)
    if not {field.attname for field in _pk_fields(model)} <= set(names):
        raise Declined("the primary key is missing")  # Django says it
    selected = [each and each.get_col(each.model._meta.db_table) for each in fields]
    columns = zip(names, positions, strict=True)
    fetch_mode = getattr(queryset, "_fetch_mode", None)
    return _native.rows.ModelPlan(
        # Not `queryset.db`, which asks the routers anew.
        **_instance(model, compiler.using, fetch_mode, columns),
        annotations=_annotations(model, dict(annotations)),
        **common(compiler, selected),
    )


def plain_key(queryset: Any, compiler: Any) -> Any:
    """Return what decides the plan of a query for plain instances, else None.

    Plain: nothing but the model's columns, filled directly. Such a plan has no
    state, so one serves every query of that shape.
    """
    klass_info = compiler.klass_info
    fetch_mode = getattr(queryset, "_fetch_mode", None)
    if (
        klass_info is None
        or compiler.annotation_col_map
        or compiler.has_extra_select
        or klass_info.get("related_klass_infos")
        or queryset._known_related_objects
        or compiler.query.combinator  # its columns have the types of both sides
        or type(fetch_mode) not in FETCH_MODES
        or (fetch_mode is not None and fetch_mode.track_peers)
        or len(compiler.select) != len(klass_info["select_fields"])
        or why_from_db(klass_info["model"])
    ):
        return None
    attnames = tuple([column[0].target.attname for column in compiler.select])
    return klass_info["model"], compiler.using, fetch_mode, attnames


def _instance(
    model: type[Model], db: str, fetch_mode: Any, columns: Iterable[tuple[str, int]]
) -> dict[str, Any]:
    columns = tuple(columns)
    by_name = dict(columns)
    return {
        "model": model,
        "db": db,
        "columns": columns,
        "pk_column": by_name.get(_pk_fields(model)[0].attname, columns[0][1]),
        "fetch_mode": fetch_mode,
        "track_peers": fetch_mode is not None and fetch_mode.track_peers,
        "from_db": _from_db(model, fetch_mode) if why_from_db(model) else None,
        "state_class": ModelState,
    }


def _pk_fields(model: type[Model]) -> Any:
    # Django 5.2 has composite keys; `pk_fields` comes with it.
    return getattr(model._meta, "pk_fields", None) or [model._meta.pk]


def _from_db(model: type[Model], fetch_mode: Any) -> Callable[..., Any]:
    if hasattr(django_query, "_get_from_db"):
        return django_query._get_from_db(model, fetch_mode)
    if fetch_mode is not None:
        return partial(model.from_db, fetch_mode=fetch_mode)
    return model.from_db


def has_listeners(model: type[Model]) -> bool:
    """Tell whether somebody is told of each instance of a model that is made."""
    # Asked at every query: that nobody listens at all is seen at once.
    return bool(pre_init.receivers and pre_init.has_listeners(model)) or bool(
        post_init.receivers and post_init.has_listeners(model)
    )


def why_from_db(model: Any) -> str:
    """Return why instances must be made by `from_db()`, or '' if they need not be."""
    if has_listeners(model):
        return "pre_init or post_init has a receiver"
    if not unpatched.holds():
        return "a part of Model has been replaced"
    known = _why_class.get(model)
    if known is None or not (_native.COMPILED and _native.rows.all_hold(known[1])):
        known = _why_class[model] = _why_class_needs_from_db(model), watches(model)
    return known[0]


@cache
def watches(model: Any) -> tuple[Any, ...]:
    """Return what tells the core whether a model makes its instances as it did."""
    if not _native.COMPILED:
        return ()
    attnames = [field.attname for field in model._meta.concrete_fields]
    return changes.watches((model,), (*_OF_MODEL, *attnames))


changes.forgets.append(watches.cache_clear)


# Whether instances are made as Django makes them.
unpatched = Unpatched((Model, Model, ("__init__", "__setattr__", "from_db")))


def calls_project(compiler: Any) -> bool:
    """Tell whether to build a compiled query's rows may call the project's code."""
    found = compiler.get_converters(selected(compiler))
    functions = [each for converters, _ in found.values() for each in converters]
    names = compiler.annotation_col_map or ()
    # Of values there are no instances.
    instances = compiler.klass_info if compiler.query.default_cols else None
    return any(
        not each.__module__.startswith("django.")
        or getattr(getattr(each, "__self__", None), "decoder", None)
        for each in functions
    ) or any(
        why_from_db(model) or any(_of_class(model, name) for name in names)
        for model in models_of(instances)
    )


def selected(compiler: Any) -> list[Any]:
    """Return the expressions whose values a compiled query's rows have."""
    return [column[0] for column in compiler.select[: compiler.col_count]]


def models_of(klass_info: dict[str, Any] | None) -> Iterator[type[Model]]:
    """Yield the models of a query's instances: its own, then those it selects."""
    if klass_info is not None:
        yield klass_info["model"]
        for related in klass_info.get("related_klass_infos", ()):
            yield from models_of(related)


# Asked at every query: with what tells that it holds.
_why_class: dict[type[Model], tuple[str, tuple[Any, ...]]] = {}
changes.forgets.append(_why_class.clear)
_OF_MODEL = "__init__", "__setattr__", "__new__", "__del__", "from_db"


def _why_class_needs_from_db(model: type[Model]) -> str:
    found = getattr(model.from_db, "__func__", None)  # a mock has none
    if found is not Model.from_db.__func__:
        return f"{model.__name__}.from_db() is overridden"
    for name in ("__init__", "__setattr__", "__new__"):
        if getattr(model, name) is not getattr(Model, name):
            return f"{model.__name__}.{name}() is overridden"
    if type(model).__call__ is not type.__call__:
        return f"the metaclass of {model.__name__} overrides __call__()"
    for base in model.__mro__[model.__mro__.index(Model) + 1 : -1]:
        if "__init__" in vars(base):
            return f"{base.__name__}.__init__() comes after Model"
    if model._meta.abstract:
        return f"{model.__name__} is abstract"
    if hasattr(model, "__del__"):
        # The core looks at an empty instance to learn where attributes are kept.
        return f"{model.__name__} has a __del__()"
    return _why_fields_need_from_db(model)


def _why_fields_need_from_db(model: type[Model]) -> str:
    for field in model._meta.concrete_fields:
        descriptor = _of_class(model, field.attname)
        if type(descriptor) not in PLAIN_DESCRIPTORS:
            kind = type(descriptor).__name__
            return f"{model.__name__}.{field.attname} is a {kind}"
    return ""


def _of_class(model: type[Model], name: str) -> Any:
    """Return what a class or one of its bases has by a name, None for nothing."""
    # `inspect.getattr_static()` takes 20 times as long, for tricks of metaclasses.
    for base in model.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return None


def _annotations(
    model: type[Model], columns: dict[str, int] | None
) -> list[tuple[str, int, bool]]:
    # A name that the class knows nothing of goes straight into __dict__.
    return [
        (name, column, _of_class(model, name) is None)
        for name, column in (columns or {}).items()
    ]


def _relation(populator: Any, db: str, fetch_mode: Any, common: dict[str, Any]) -> Any:
    """Say in the core's terms what a RelatedPopulator of Django's does."""
    if populator.reorder_for_init is None:
        indexes = tuple(range(populator.cols_start, populator.cols_end))
    else:
        # Which columns it picks, asked of the function itself.
        picked = populator.reorder_for_init(range(common["width"]))
        indexes = picked if isinstance(picked, tuple) else (picked,)
    instance = _instance(
        populator.model_cls,
        db,
        fetch_mode,
        zip(populator.init_list, indexes, strict=True),
    )
    instance["pk_column"] = indexes[populator.pk_idx]
    bare = {"width": common["width"]}
    return _native.rows.Relation(
        plan=_native.rows.ModelPlan(
            **instance,
            relations=[
                _relation(each, db, fetch_mode, common)
                for each in populator.related_populators
            ],
            **bare,
        ),
        local_setter=populator.local_setter,
        remote_setter=None if _is_many_to_one(populator) else populator.remote_setter,
        local_cache=_cache_name(populator.local_setter),
        remote_cache=_cache_name(populator.remote_setter),
    )


def _is_many_to_one(populator: Any) -> bool:
    """Tell whether Django's remote setter is the one that does nothing."""
    field = getattr(populator.local_setter, "__self__", None)
    return isinstance(field, Field) and not field.unique


def _cache_name(setter: Any) -> str | None:
    """Return the `fields_cache` key that `setter` stores under, if that is all."""
    if getattr(setter, "__func__", None) is SET_CACHED_VALUE:
        return setter.__self__.cache_name
    return None


def _known(queryset: Any, loaded: list[str]) -> list[Any]:
    found = []
    for field, related in queryset._known_related_objects.items():
        attnames = tuple(
            field.attname
            if name == "self"
            else queryset.model._meta.get_field(name).attname
            for name in field.from_fields
        )
        if django.VERSION < (6, 1) and not set(attnames) <= set(loaded):
            # Django before 6.1 fetches the deferred attribute here.
            raise Declined("a known related object's key is deferred")
        found.append(_native.rows.KnownRelated(field, related, attnames))
    return found
