"""Django's ORM, native on the event loop."""

from typing import Any

from ._version import __version__

# Name -> module. Imported at first use: most need Django's settings.
_PUBLIC = {
    "achunks": "helpers",
    "afetch_related": "helpers",
    "alist": "helpers",
    "async_connections": "connections",
    "explain_plan": "explain",
    "install": "seams",
    "new_connection": "connections",
    "run": "driving",
    "run_sync": "dispatch",
    "uninstall": "seams",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
