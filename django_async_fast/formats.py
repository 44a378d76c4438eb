"""Whether a query's result may be asked for in binary.

Only where every column's binary value means what Django's text value means.
The choice is made before the query is sent, from the fields' types; what the
server then sends is checked once more (`drivers/results.py`).
"""

from __future__ import annotations

import re
from typing import Any

from django.db.models import Field, ForeignKey
from django.db.models import fields as django_fields
from django.db.models.expressions import RawSQL
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

_safe_classes: dict[type[Any], bool] = {}

# Fields whose column turned out to have a type that `rust/` does not know: an
# enum behind a CharField, say. They are asked for as text from then on.
_text_fields: set[int] = set()
_text_columns: set[str] = set()

_COLUMN = re.compile(r'"[^"]+"\."[^"]+"')


def binary_possible(expressions: Any) -> bool:
    """Tell whether all `expressions` (of a SELECT) may come in binary."""
    return all(map(_is_safe, expressions))


def why_text(expression: Any) -> str:
    """Return why `expression` keeps its query's result in text, or ''."""
    if _is_safe(expression):
        return ""
    field = getattr(expression, "output_field", None)
    return f"{type(field).__name__} may have a type that is only read as text"


def remember_text(expression: Any) -> None:
    """Ask for this expression's field as text from now on."""
    if isinstance(expression, RawSQL):
        _text_columns.add(expression.sql)
        return
    field = expression.output_field
    # A model's field lives as long as the process: its id stays its own.
    if getattr(field, "model", None) is not None:
        _text_fields.add(id(field))


def _is_safe(expression: Any) -> bool:
    if type(expression) is RawSQL:
        return _is_safe_raw(expression.sql)
    field = getattr(expression, "output_field", None)
    while isinstance(field, ForeignKey):
        field = field.target_field
    kind = type(field)
    safe = _safe_classes.get(kind)
    if safe is None:
        safe = _safe_classes[kind] = _is_safe_class(kind)
    return safe and id(field) not in _text_fields


def _is_safe_raw(sql: str) -> bool:
    """Tell it of SQL whose type nobody knows before it has run.

    A bare column, which prefetching a many-to-many relation adds, may be asked
    for again as text if its type is unknown; anything else might have effects.
    """
    return _COLUMN.fullmatch(sql) is not None and sql not in _text_columns


def _is_safe_class(kind: type[Any]) -> bool:
    if not issubclass(kind, _SAFE_BASES):
        return False
    # A column type of the project's own making may be anything.
    own = ("db_type", "get_internal_type", "db_type_parameters", "cast_db_type")
    return all(
        getattr(kind, name).__module__.startswith("django.db.models") for name in own
    )
