"""Django's ORM, native on the event loop."""

from typing import Any

from ._version import __version__

# Name -> module. Imported at first use: most need Django's settings. Type checkers
# read `__init__.pyi`.
_PUBLIC = {
    "AsyncCopy": "connections.cursor",
    "AsyncCursor": "connections.cursor",
    "BlockWrapper": "connections.wrapper",
    "Notifications": "connections.notifications",
    "PoolStats": "pool.figures",
    "achunks": "querysets.helpers",
    "acopy_chunks": "copying.export",
    "acopy_from": "copying.load",
    "acopy_to": "copying.export",
    "afetch_related": "querysets.helpers",
    "alist": "querysets.helpers",
    "async_connections": "connections.blocks",
    "blocking": "connections.blocking_code",
    "copy_chunks": "copying.export",
    "copy_from": "copying.load",
    "copy_to": "copying.export",
    "explain_plan": "querysets.plans.explain",
    "explain_writes": "querysets.bulk.explain",
    "from_rows": "querysets.given_rows",
    "install": "seams.installation",
    "new_connection": "connections.blocks",
    "pool_stats": "pool.figures",
    "run": "bridge.driving",
    "run_sync": "connections.dispatch",
    "uninstall": "seams.installation",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
