"""What was learnt of a model holds until somebody changes it, its fields or classes.

In: a field, a model's options or a connection's operations or features, of which an
attribute was set; a class of fields or expressions that has another method. Out:
everything that was learnt is forgotten, so that a statement or a plan that is known
needs not be compared with what it was learnt of.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from django.db.backends.base.features import BaseDatabaseFeatures
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.models import Field
from django.db.models.options import Options

from .. import _native

# Of these no statement is made, or each save looks at them again.
_QUIET_OF_FIELD = frozenset(
    {
        *("auto_now", "auto_now_add", "blank", "choices", "db_comment", "db_index"),
        *("editable", "error_messages", "help_text", "serialize", "validators"),
        *("verbose_name", "_error_messages", "_validators", "_verbose_name"),
        # What a relation of many to many finds when it is used first.
        *(
            f"_m2m_{side}{name}_cache"
            for side in ("", "reverse_")
            for name in ("attname", "column", "name", "remote_field")
        ),
    }
)
_QUIET_OF_OPTIONS = frozenset(
    {
        *("constraints", "db_table_comment", "default_permissions", "indexes"),
        *("permissions", "verbose_name", "verbose_name_plural"),
        # What Django forgets together with `_get_fields_cache`, which it sets.
        *(Options.FORWARD_PROPERTIES | Options.REVERSE_PROPERTIES),
    }
)
# What Django sets itself.
_QUIET_OF_CONNECTION = frozenset({"connection", "_cache"})

# What of a class is asked when a statement is compiled, or its rows are read.
OF_COLUMN = (
    *("get_col", "select_format", "get_db_converters", "from_db_value"),
    *("db_converters", "cached_col", "get_lookup", "get_transform"),
)
OF_PLACEHOLDER = "get_placeholder", "get_placeholder_sql"
# And of a field that is saved, which is asked for each plain value.
OF_SAVED = *OF_PLACEHOLDER, "get_db_prep_save"
OF_CONDITION = (
    *("as_sql", "as_postgresql", "as_sqlite", "as_mysql", "process_lhs"),
    *("get_rhs_op", "param_pattern"),
)
OF_NODE = (
    *("as_sql", "as_postgresql", "as_sqlite", "as_mysql", "resolve_expression"),
    *("get_source_expressions", "get_group_by_cols", "select_format"),
)

# What forgets all that was learnt; whoever learns adds to them.
forgets: list[Callable[[], None]] = []

_watches: dict[Any, Any] = {}

# Operations and features of one connection that were given methods or values: by name,
# what they had before.
_own: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()


def watches(kinds: Iterable[Any], names: tuple[str, ...]) -> tuple[Any, ...]:
    """Return what tells the core whether classes still have the same by these names."""
    return tuple(
        [
            _watches.get((kind, names)) or _watch(kind, names)
            for kind in dict.fromkeys(kinds)
        ]
    )


@cache
def shared(found: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return one tuple to all who learn the same, for many statements do."""
    return found


forgets.append(shared.cache_clear)


def _watch(kind: Any, names: tuple[str, ...]) -> Any:
    made = _watches[kind, names] = _Watch(kind, names).core
    return made


def hold() -> bool:
    """Tell whether all classes are still as they were; if not, all is forgotten."""
    return bool(_native.rows.all_hold(tuple(_watches.values())))


class _Watch:
    """A class as it is now; when it is another, all that was learnt is forgotten."""

    def __init__(self, kind: Any, names: tuple[str, ...]) -> None:
        self._holds: bool | None = None
        self.core: Any = _native.rows.ClassWatch(kind, asked=self._ask, names=(names,))
        self.core.holds()

    def _ask(self) -> bool:
        self.core.look()
        if self._holds is None:
            self._holds = True
        elif self._holds:
            # The next statement takes the classes as they are then.
            self._holds = False
            _watches.clear()
            _forget()
        return self._holds


def may_learn() -> bool:
    """Tell whether all connections compile as their classes do."""
    return not _own


def _forget() -> None:
    for forget in forgets:
        forget()


def _field_has_changed(field: Any, *change: Any) -> None:
    meta = getattr(field.model, "_meta", None)
    if meta is None:
        return  # as whoever tests Django's migrations has it
    fields = *meta.local_fields, *meta.local_many_to_many, *meta.private_fields
    # Not a copy, or one that a model is only being made with.
    if any(each is field for each in fields):
        _forget()


def _options_have_changed(options: Any, *change: Any) -> None:
    _forget()


def _connection_has_changed(part: Any, name: str, before: Any) -> None:
    given = _own.setdefault(part, {})
    # What a cached property has found is not set, but may be deleted.
    if name not in vars(part) or vars(part)[name] is given.get(name, before):
        given.pop(name, None)
    else:
        given.setdefault(name, before)
    if not given:
        del _own[part]
    _forget()


def seams() -> Iterator[tuple[Any, str, Any, str]]:
    """Yield (owner, name, replacement, reason) for `seams/seam_list.py`."""
    learnt = "what was learnt of it holds no more"
    of_connection = "connection", _QUIET_OF_CONNECTION, _connection_has_changed
    told = (
        (Field, "model", _QUIET_OF_FIELD, _field_has_changed),
        (Options, "model", _QUIET_OF_OPTIONS, _options_have_changed),
        (BaseDatabaseOperations, *of_connection),
        (BaseDatabaseFeatures, *of_connection),
    )
    for kind, bound, quiet, changed in told:
        methods = _native.rows.AttributeHooks(kind, bound, quiet, changed).methods()
        for name, method in zip(("__setattr__", "__delattr__"), methods, strict=True):
            yield kind, name, method, learnt
