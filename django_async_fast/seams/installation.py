"""Seams are put in place, and taken out again.

Modules that are not imported yet are patched when they are: importing a contrib module
whose app is not installed would fail.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import update_wrapper
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from .seam_list import (
    CACHE_MODULE,
    HANDLER_MODULE,
    HOOKING_MODULES,
    NATIVE_MODULES,
    seams,
)

_MISSING: Any = object()


class _Applied(NamedTuple):
    owner: Any
    name: str
    before: Any
    replacement: Any

    def is_in_place(self) -> bool:
        """Tell whether nobody has put something else there since."""
        return vars(self.owner).get(self.name, _MISSING) is self.replacement


_applied: list[_Applied] = []
_on_import: _PatchOnImport | None = None


def install() -> None:
    """Install every seam. The app does, when it is made; calling it twice is fine."""
    global _on_import
    from . import file_prefixes

    if _on_import is not None:
        return
    for module in file_prefixes.importers():
        _apply(module, "django_file_prefixes", file_prefixes.django_file_prefixes)
    for owner, name, replacement, _ in list(seams()):
        _apply(owner, name, replacement)
    waiting: dict[str, Callable[[ModuleType], None]]
    patched = (*NATIVE_MODULES, *HOOKING_MODULES, CACHE_MODULE)
    waiting = dict.fromkeys(patched, _patch_module)
    waiting[HANDLER_MODULE] = _patch_handler
    for name in [name for name in waiting if name in sys.modules]:
        waiting.pop(name)(sys.modules[name])
    _on_import = _PatchOnImport(waiting)
    sys.meta_path.insert(0, _on_import)


def install_blocking() -> None:
    """Have what the setting BLOCKING names run in threads, once models are there."""
    from ..connections import blocking_code

    for owner, name, replacement in blocking_code.named():
        _apply(owner, name, replacement)


def uninstall() -> None:
    """Take every seam out again. Open blocks must have ended.

    A seam that a tool has wrapped since stays inside of that, where it does nothing
    without a block.
    """
    global _on_import
    if _on_import is not None:
        sys.meta_path.remove(_on_import)
        _on_import = None
    left = []
    while _applied:
        applied = _applied.pop()
        if not applied.is_in_place():
            left.append(applied)
        elif applied.before is _MISSING:
            delattr(applied.owner, applied.name)
        else:
            setattr(applied.owner, applied.name, applied.before)
    _applied.extend(reversed(left))


def _apply(owner: Any, name: str, replacement: Any) -> None:
    # Only the owner's own attribute can be put back: an inherited one is
    # uncovered again by deleting the replacement.
    before = vars(owner).get(name, _MISSING)
    for each in [e for e in _applied if (e.owner, e.name) == (owner, name)]:
        if before is not each.before:
            return  # it is inside of what a tool has put there
        _applied.remove(each)
    if type(replacement) is FunctionType and hasattr(before, "__get__"):
        update_wrapper(replacement, before)
    _applied.append(_Applied(owner, name, before, replacement))
    setattr(owner, name, replacement)


def _patch_module(module: ModuleType) -> None:
    from ..connections import dispatch

    cache = module.__name__ == CACHE_MODULE
    replacement = dispatch.cache_sync_to_async if cache else dispatch.sync_to_async
    _apply(module, "sync_to_async", replacement)


def _patch_handler(module: ModuleType) -> None:
    from ..requests import views

    # ATOMIC_REQUESTS for asynchronous views, inside the middleware.
    for owner, name, replacement in views.seams(module):
        _apply(owner, name, replacement)


class _PatchOnImport(MetaPathFinder):
    """Patches a module when it is imported."""

    def __init__(self, waiting: dict[str, Callable[[ModuleType], None]]) -> None:
        self.waiting = waiting

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        patch = self.waiting.get(name)
        if patch is None:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            self.waiting.pop(name, None)
            patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
