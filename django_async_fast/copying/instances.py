"""Instances as rows of a COPY."""

from operator import attrgetter
from typing import Any

from django.db import DataError, NotSupportedError, models
from django.db.models.expressions import DatabaseDefault

from .located_errors import error


class Instances:
    """Model instances as rows: what `save()` would send of each."""

    def __init__(self, model: Any, fields: list[Any], first: Any) -> None:
        if model._meta.concrete_model._meta.parents:
            raise NotSupportedError(
                f"An instance of {model.__name__} has rows in several tables: copy "
                "tuples into each of them, or save() it."
            )
        self._model = model._meta.concrete_model
        # Columns that the first one leaves to the database, and so must the others.
        self._left = [field for field in fields if _is_left(field, first)]
        self.fields = [field for field in fields if field not in self._left]
        self._get = attrgetter(*[field.attname for field in self.fields])
        self._pre_save = [
            (i, field.pre_save)
            for i, field in enumerate(self.fields)
            if type(field).pre_save is not models.Field.pre_save
        ]

    def rows(self, batch: list[Any], before: int) -> list[Any]:
        """Return the values of instances."""
        rows = []
        for number, instance in enumerate(batch, before + 1):
            self._check(instance, number)
            instance._prepare_related_fields_for_save(operation_name="copy_from")
            values: Any = self._get(instance)
            if len(self.fields) == 1:
                values = (values,)
            if self._pre_save:
                values = list(values)
                for i, pre_save in self._pre_save:
                    values[i] = pre_save(instance, True)
            rows.append(values)
        return rows

    def _check(self, instance: Any, number: int) -> None:
        if not isinstance(instance, self._model):
            message = f"not a {self._model.__name__}, but {type(instance).__name__}"
            raise error(DataError, "row", number, None, message)
        for field in self._left:
            if not _is_left(field, instance):
                message = "has a value, which the first row leaves to the database"
                raise error(DataError, "row", number, field, message)


def _is_left(field: Any, instance: Any) -> bool:
    value = getattr(instance, field.attname)
    return isinstance(value, DatabaseDefault) or (
        value is None and isinstance(field, models.AutoField)
    )
