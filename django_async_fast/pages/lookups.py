"""What is in settings, in lazy objects and in asgiref's locals, found by the core.

A page asks for dozens: each number in a template for the language, in a local, and for
settings. Django takes a call for one, asgiref four.
"""

import threading
from collections.abc import Iterator
from functools import cache, update_wrapper
from typing import Any

from asgiref import local
from django.utils.functional import LazyObject

from .. import _native
from ..unpatched import Unpatched

OF_LOCAL = "__getattr__", "__setattr__", "__delattr__"


def seams() -> Iterator[tuple[Any, str, Any, str]]:
    """Yield what is replaced: owner, name, replacement, reason."""
    owner, name = LazyObject, "__getattribute__"
    method = update_wrapper(_native.rows.lazy_reader(owner), owner.__getattribute__)
    yield owner, name, method, "a setting, or what is of a lazy object, needs no call"
    if (methods := local_methods()) is None:
        return
    owner, reason = (
        local._DefaultLocal,
        "a value of a local is found, or set, in one step",
    )
    for name, method in zip(OF_LOCAL, methods.methods(), strict=True):
        yield owner, name, update_wrapper(method, getattr(owner, name)), reason


@cache
def local_methods() -> Any:
    """Return the core's methods of asgiref's locals; None for a release before 3.13."""
    # It keeps its values otherwise.
    if (storage := getattr(local, "_Storage", None)) is None:
        return None
    kind = local._CVar
    unpatched = Unpatched(
        (local._DefaultLocal, local._DefaultLocal, ("__getattr__", "__getattribute__")),
        (kind, kind, (*OF_LOCAL, "__repr__", "_storage")),
        (storage, storage, ("__init__", "__new__", "__setattr__", "thread_id", "data")),
    )
    return _native.rows.LocalMethods(
        local._DefaultLocal, kind, storage, unpatched.watch, vars(threading)
    )
