"""What is known already of an INSERT's values: Django asks no field for it again."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any


def tell(
    compiler: Any,
    values_of: Callable[[Any], Iterator[Any]],
    saved: dict[int, Any],
    prepared: dict[int, Any],
) -> None:
    """Give Django's compiler what is `saved`, and what that becomes, by fields' ids.

    `values_of` makes of what is known of a field one value after the other, by object.
    """
    for name, by_field in (("pre_save_val", saved), ("prepare_value", prepared)):
        known = {field: values_of(found) for field, found in by_field.items()}
        setattr(compiler, name, partial(_next, known, getattr(compiler, name)))


def _next(known: dict[int, Iterator[Any]], ask: Any, field: Any, given: Any) -> Any:
    try:
        return next(known[id(field)])
    except (KeyError, StopIteration):
        return ask(field, given)
