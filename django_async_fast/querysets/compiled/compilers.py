"""Compilers that a connection makes meanwhile, changed before anybody uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def changed(wrapper: Any, change: Callable[[Any], None]) -> Iterator[None]:
    """Call `change` with each compiler that the connection's operations make."""
    ops = wrapper.ops
    before, make = vars(ops).get("compiler"), ops.compiler

    def compiler(name: str) -> Any:
        kind = make(name)

        def made(*args: Any, **kwargs: Any) -> Any:
            found = kind(*args, **kwargs)
            change(found)
            return found

        return made

    ops.compiler = compiler
    try:
        yield
    finally:
        del ops.compiler
        if before is not None:
            ops.compiler = before
