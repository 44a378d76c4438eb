"""Settings and asgiref's locals, found by the core.

A page asks for dozens: each number in a template for the language, in a local, and for
settings. What is there already is found in one step, where Django takes a call and
asgiref four. Everything else is theirs to answer.
"""

from collections.abc import Iterator
from functools import update_wrapper
from typing import Any

from asgiref import local
from django.conf import LazySettings
from django.utils.functional import LazyObject

from .. import _native
from ..unpatched import Unpatched

OF_LOCAL = "__getattr__", "__setattr__", "__delattr__"


def seams() -> Iterator[tuple[Any, str, Any, str]]:
    """Yield what is replaced: owner, name, replacement, reason."""
    unpatched = Unpatched((LazyObject, LazyObject, ("__getattribute__",)))
    method = _native.rows.setting_reader(LazySettings, unpatched.watch)
    update_wrapper(method, LazyObject.__getattribute__)
    reason = "a setting that was asked for is found without a call"
    yield LazySettings, "__getattribute__", method, reason
    # Releases before 3.13 keep their values otherwise.
    if (storage := getattr(local, "_Storage", None)) is None:
        return
    owner, kind = local._DefaultLocal, local._CVar
    unpatched = Unpatched(
        (kind, kind, (*OF_LOCAL, "_storage")), (storage, storage, ("__init__",))
    )
    methods = _native.rows.LocalMethods(owner, kind, storage, unpatched.watch)
    reason = "a value of a local is found, or set, in one step"
    for name, method in zip(OF_LOCAL, methods.methods(), strict=True):
        yield owner, name, update_wrapper(method, getattr(owner, name)), reason
