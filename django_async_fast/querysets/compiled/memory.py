"""How much memory statements take, about: with what belongs to them alone."""

import gc
import sys
from collections.abc import Iterable
from typing import Any

# What else belongs to a statement, by the package of its class: a compiler that is
# kept, with its query. Models and fields are not the statement's.
_OURS = "django_async_fast"
_DJANGOS = (
    *("django.db.models.sql", "django.db.models.lookups"),
    *("django.db.models.expressions", "django.db.models.fields.related_lookups"),
)
_PLAIN = frozenset({bytes, dict, float, frozenset, list, set, str, tuple})


def bytes_of(objects: Iterable[Any]) -> int:
    """Return the bytes of objects and of what belongs to them, each once."""
    todo, seen, size = [*objects], set(), 0
    while todo:
        each = todo.pop()
        if id(each) in seen or not _belongs(each):
            continue
        seen.add(id(each))
        size += sys.getsizeof(each)
        todo += gc.get_referents(each)
    return size


def _belongs(each: Any) -> bool:
    kind = type(each)
    module = kind.__module__
    return kind in _PLAIN or (
        not isinstance(each, type)
        and (module.startswith(_DJANGOS) or module.partition(".")[0] == _OURS)
    )
