"""psycopg 3 on the event loop: how it waits, and how its results are read.

Its modules are imported when one is asked for: Django may be used with another
database only, and psycopg need not be installed.
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
