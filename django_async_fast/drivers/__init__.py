"""How a database driver waits on the event loop.

Its modules import psycopg, and are themselves imported when one is asked for: Django
may be used with another database only.
"""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    try:
        return import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name == f"{__name__}.{name}":
            raise AttributeError(f"module {__name__} has no {name!r}") from None
        raise
