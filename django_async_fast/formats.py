"""Whether a query's result may be asked for in binary.

Only where every column's binary value means what Django's text value means.
The choice is made before the query is sent, from the fields' types; what the
server then sends is checked once more (`drivers/results.py`). A model's field of
another class is asked for as text once: its column's type is known then.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import Field, ForeignKey, GeneratedField
from django.db.models import fields as django_fields
from django.db.models.expressions import Col, RawSQL
from django.db.models.fields.files import FileField
from django.db.models.fields.json import JSONField

# Field classes of Django's whose column type PostgreSQL sends in a binary form
# that `rust/` turns into the value of the text form.
_SAFE_BASES: tuple[type[Field[Any, Any]], ...] = (
    django_fields.BigIntegerField,
    django_fields.BinaryField,
    django_fields.BooleanField,
    django_fields.CharField,
    django_fields.DateField,
    django_fields.DecimalField,
    django_fields.DurationField,
    django_fields.FloatField,
    django_fields.GenericIPAddressField,
    django_fields.IntegerField,
    django_fields.TextField,
    django_fields.TimeField,
    django_fields.UUIDField,
    FileField,
    JSONField,
)

# The same in Django's contrib apps, which nobody imports without need.
_SAFE_CONTRIB = {
    "django.contrib.postgres.fields": ("ArrayField", "HStoreField", "RangeField"),
    "django.contrib.postgres.search": ("SearchQueryField", "SearchVectorField"),
    "django.contrib.gis.db.models.fields": ("GeometryField",),
}

_DJANGO = (
    "django.db.models",
    "django.contrib.postgres",
    "django.contrib.gis.db.models",
)

_safe_classes: dict[type[Any], bool] = {}

# Whether a field's column may come in binary, where its class does not tell: a type
# of the project's own, or an enum behind a CharField, say. By id, which stays the
# field's own because the field is kept here.
_learned: dict[int, tuple[Field[Any, Any], bool]] = {}
_text_columns: set[str] = set()

_COLUMN = re.compile(r'"[^"]+"\."[^"]+"')


def binary_possible(expressions: Any) -> bool:
    """Tell whether all `expressions` (of a SELECT) may come in binary."""
    return all(map(_is_safe, expressions))


def why_text(expression: Any) -> str:
    """Return why `expression` keeps its query's result in text, or ''."""
    if _is_safe(expression):
        return ""
    kind = type(getattr(expression, "output_field", None)).__name__
    if not _can_learn(expression):
        return f"{kind} may have a type that is only read as text"
    if id(_field(expression)) in _learned:
        return f"{kind} has a type that is only read as text"
    return f"the type of {kind} is known when it has been read once"


def learn(
    expressions: Iterable[Any], oids: Iterable[int], known: Callable[[int], bool]
) -> bool:
    """Take note of the types of columns that came as text; tell if there was news."""
    news = False
    for expression, oid in zip(expressions, oids, strict=False):
        if _can_learn(expression) and not _is_safe(expression):
            field = _field(expression)
            if id(field) not in _learned:
                _learned[id(field)] = field, known(oid)
                news = True
    return news


def remember_text(expression: Any) -> None:
    """Ask for this expression's field as text from now on."""
    if isinstance(expression, RawSQL):
        _text_columns.add(expression.sql)
        return
    field = _field(expression)
    if _has_model(field):
        _learned[id(field)] = field, False


def _field(expression: Any) -> Any:
    """Return the field that has the type of the expression's column."""
    field = getattr(expression, "output_field", None)
    while isinstance(field, (ForeignKey, GeneratedField)):
        generated = isinstance(field, GeneratedField)
        field = field.output_field if generated else field.target_field
    return field


def _has_model(field: Any) -> bool:
    # Only a model's field stays the same from one query to the next.
    return getattr(field, "model", None) is not None


def _can_learn(expression: Any) -> bool:
    # Any other expression of the same field may have another type.
    return type(expression) is Col and _has_model(_field(expression))


def _is_safe(expression: Any) -> bool:
    if type(expression) is RawSQL:
        return _is_safe_raw(expression.sql)
    field = _field(expression)
    learned = _learned.get(id(field))
    if learned is None:
        return _is_safe_field(field)
    return learned[1] and (type(expression) is Col or _is_safe_field(field))


def _is_safe_field(field: Any) -> bool:
    kind = type(field)
    safe = _safe_classes.get(kind)
    if safe is None:
        safe = _safe_classes[kind] = _is_safe_class(kind)
    # An array, or a range, is what its elements are.
    inside = getattr(field, "base_field", None)
    return safe and (inside is None or _is_safe_field(inside))


def _is_safe_raw(sql: str) -> bool:
    """Tell it of SQL whose type nobody knows before it has run.

    A bare column, which prefetching a many-to-many relation adds, may be asked
    for again as text if its type is unknown; anything else might have effects.
    """
    return _COLUMN.fullmatch(sql) is not None and sql not in _text_columns


def _is_safe_class(kind: type[Any]) -> bool:
    if not issubclass(kind, (*_SAFE_BASES, *_contrib())):
        return False
    # A column type of the project's own making may be anything.
    own = ("db_type", "get_internal_type", "db_type_parameters", "cast_db_type")
    return all(getattr(kind, name).__module__.startswith(_DJANGO) for name in own)


def _contrib() -> list[type[Any]]:
    return [
        getattr(sys.modules[module], name)
        for module, names in _SAFE_CONTRIB.items()
        if module in sys.modules
        for name in names
    ]
