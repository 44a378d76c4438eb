"""A wrapper that nobody has looked at yet is asleep: the first look makes it one.

Django's wrapper costs several times what the rest of a block does, and there are blocks
in which nothing is asked of the database.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.utils import load_backend

from ..attribute_copies import Stamp
from ..tasks import scopes
from .threaded_wrapper import ThreadedWrapper
from .wrapper import BlockWrapper

if TYPE_CHECKING:
    from .blocks import Block


def _look(wrapper: Any, name: str) -> Any:
    """`__getattribute__` of a wrapper asleep."""
    _wake(wrapper)
    return getattr(wrapper, name)


def _touch(wrapper: Any, name: str, value: Any) -> None:
    """`__setattr__` of a wrapper asleep."""
    _wake(wrapper)
    setattr(wrapper, name, value)


def _wake(wrapper: Any) -> None:
    settings_dict, alias, block, gate = object.__getattribute__(wrapper, "_made_of")
    object.__setattr__(wrapper, "__class__", type(wrapper).awake)
    del wrapper._made_of
    wrapper.__init__(settings_dict, alias)
    # Whoever looks first may do so in another thread.
    wrapper._thread_ident = block.thread
    wrapper.block = block
    if gate is None:
        wrapper.gate.root.place = block.place
        wrapper.gate.units = block.units
    else:
        wrapper.gate = gate


def claim(wrapper: Any) -> scopes.Gate | None:
    """Return the gate that a wrapper asleep will have; None if somebody has it.

    Who is inside opens the connection: others wait for that, not for one more.
    """
    settings_dict, alias, block, gate = object.__getattribute__(wrapper, "_made_of")
    if gate is not None:
        return None
    gate = scopes.Gate(alias, block.place, block.units)
    object.__setattr__(wrapper, "_made_of", (settings_dict, alias, block, gate))
    return gate


def connect(
    wrapper: Any, values: dict[str, Any], entry: Any, origin: Any, gate: scopes.Gate
) -> None:
    """Wake `wrapper` as one that is connected to `origin`, of the pool `entry`.

    `values` are the attributes that Django has given such a one before.
    """
    settings_dict, _, block, _ = object.__getattribute__(wrapper, "_made_of")
    handle = entry.handle(gate)
    values["settings_dict"] = settings_dict
    values["block"], values["_thread_ident"] = block, block.thread
    values["gate"], values["pool"] = gate, handle
    values["connection"] = handle.view(origin)
    object.__setattr__(wrapper, "__class__", type(wrapper).awake)
    wrapper.__dict__ = values
    if connection_created.receivers:
        wrapper.announce()


def is_awake(wrapper: Any) -> bool:
    """Tell whether `wrapper` is a block's, and has been looked at."""
    return getattr(type(wrapper), "looked_at", False)


def is_asleep(wrapper: Any) -> bool:
    """Tell whether `wrapper` is a block's, and nobody has looked at it yet."""
    return not getattr(type(wrapper), "looked_at", True)


@cache
def _block_class(base: type[BaseDatabaseWrapper]) -> type[Any]:
    stamp = Stamp("settings_dict", "alias", "_thread_ident")
    own = {"stamp": stamp, "backend": base, "connects": {}}
    own["__module__"] = base.__module__
    if _is_psycopgs(base):
        return type(base.__name__, (BlockWrapper, base), own)
    theirs = {name: getattr(base, name, None) for name in ThreadedWrapper.NOT_OURS}
    return type(base.__name__, (ThreadedWrapper, base), own | theirs)


def _is_psycopgs(base: type[BaseDatabaseWrapper]) -> bool:
    """Tell whether the loop can wait for the driver itself, without a thread."""
    if base.vendor != "postgresql":
        return False
    from django.db.backends.postgresql.base import DatabaseWrapper

    return issubclass(base, DatabaseWrapper)


@cache
def _asleep_class(engine: str, alias: str) -> Any:
    """Return the class of new wrappers; None for Django's dummy, which only raises."""
    base = load_backend(engine).DatabaseWrapper
    if base.vendor == "unknown":
        return None
    if _is_psycopgs(base):
        check_psycopg()
    awake = _block_class(base)
    own = {"awake": awake, "looked_at": False, "named": alias}
    asleep = {"__getattribute__": _look, "__setattr__": _touch}
    return type(base.__name__, (awake,), own | asleep)


def make(block: Block, settings_dict: dict[str, Any], alias: str) -> Any:
    """Return a block's wrapper for `alias`; it connects at its first query."""
    asleep = _asleep_class(settings_dict["ENGINE"], alias)
    if asleep is None:
        dummy = load_backend(settings_dict["ENGINE"]).DatabaseWrapper
        return dummy(settings_dict, alias)
    wrapper = object.__new__(asleep)
    object.__setattr__(wrapper, "_made_of", (settings_dict, alias, block, None))
    return wrapper


def check_psycopg() -> None:
    """Raise ImproperlyConfigured unless psycopg and its pool are new enough."""
    from ..drivers.psycopg.requirements import psycopg_problem

    if problem := psycopg_problem():
        raise ImproperlyConfigured(problem)
