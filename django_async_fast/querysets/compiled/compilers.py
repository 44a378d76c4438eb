"""Compilers that a connection makes meanwhile, changed before anybody uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def changed(wrapper: Any, change: Callable[[Any], None]) -> Iterator[None]:
    """Call `change` with each compiler that the connection's operations make."""
    # Not as an attribute is set: nothing that was learnt is forgotten for it.
    own = vars(wrapper.ops)
    before, make = own.get("compiler"), wrapper.ops.compiler

    def compiler(name: str) -> Any:
        kind = make(name)

        def made(*args: Any, **kwargs: Any) -> Any:
            found = kind(*args, **kwargs)
            change(found)
            return found

        return made

    own["compiler"] = compiler
    try:
        yield
    finally:
        del own["compiler"]
        if before is not None:
            own["compiler"] = before
