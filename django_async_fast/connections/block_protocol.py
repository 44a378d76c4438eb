"""What the modules of this room know of a block: `blocks.Block` has it all."""

from asyncio import AbstractEventLoop
from typing import Any, Protocol

from ..bridge.users_code import Place
from ..tasks.units import Units


class Block(Protocol):
    """A block, to the wrappers and threads that belong to it."""

    force_rollback: bool
    loop: AbstractEventLoop
    open: bool
    place: Place
    shared: bool
    thread: int
    units: Units
    wrappers: dict[str, Any]

    @property
    def who(self) -> str: ...

    def wrapper(self, alias: str) -> Any: ...

    def replace_wrapper(self, alias: str, wrapper: Any = None) -> None: ...
