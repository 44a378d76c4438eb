"""A database wrapper that is built at its first use.

Django's wrapper costs several times what the rest of a block does, and there are blocks
in which nothing is asked of the database.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import load_backend
from django.dispatch import receiver

from .. import conf
from ..attribute_copies import Stamp
from ..tasks import scopes
from . import replayed_connect
from .other_wrapper import OtherWrapper
from .sqlite_wrapper import SqliteWrapper
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
    made_of = object.__getattribute__(wrapper, "_made_of")
    settings_dict, alias, block, gate, unseen = made_of
    object.__setattr__(wrapper, "__class__", type(wrapper).awake)
    del wrapper._made_of
    if unseen is not None:
        # A statement may be under way on the other one: both have one state.
        wrapper.__dict__ = vars(unseen)
        unseen.show()
        return
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
    made_of = object.__getattribute__(wrapper, "_made_of")
    settings_dict, alias, block, gate, _ = made_of
    if gate is not None:
        return None
    gate = scopes.Gate(alias, block.place, block.units)
    object.__setattr__(wrapper, "_made_of", (settings_dict, alias, block, gate, None))
    return gate


def connect(
    wrapper: Any,
    known: replayed_connect.Again,
    entry: Any,
    origin: Any,
    gate: scopes.Gate | None,
) -> Any:
    """Have statements run on a wrapper that nobody sees, connected to `origin`.

    Returns it, or None where Django has to connect. It is the one that the block
    before has left, or is made with the attributes that Django has given such a one.
    `wrapper`, which is asleep, has its state from when somebody looks.
    """
    made_of = object.__getattribute__(wrapper, "_made_of")
    settings_dict, alias, block, *_ = made_of
    made, origin.left = origin.left, None
    if (
        made is None
        or made.reusable is not known
        or made.settings_dict is not settings_dict
    ):
        if (values := known.values()) is None:
            return None
        gate = gate or scopes.Gate(alias, block.place, block.units)
        handle = entry.handle(gate)
        values["settings_dict"], values["pool"] = settings_dict, handle
        values["connection"] = handle.view(origin)
        values["reusable"] = known
        made = object.__new__(type(wrapper).awake)
        made.__dict__ = values
    made.join(block, gate)
    object.__setattr__(
        wrapper, "_made_of", (settings_dict, alias, block, made.gate, made)
    )
    return made


def unseen(wrapper: Any) -> Any:
    """Return what statements of `wrapper`, which is asleep, run on, or None."""
    return object.__getattribute__(wrapper, "_made_of")[-1]


def let_go(wrapper: Any) -> bool:
    """End with the block, without waiting; False where a connection is left."""
    if not getattr(type(wrapper), "looked_at", True):
        made_of = object.__getattribute__(wrapper, "_made_of")
        if made_of[-1] is None:
            return True
        if made_of[-1].leave():
            # Whoever looks from here on finds that the block has ended.
            object.__setattr__(wrapper, "_made_of", (*made_of[:3], None, None))
            return True
        _wake(wrapper)
    return not is_awake(wrapper) or bool(wrapper.let_go())


def show(wrapper: Any) -> None:
    """Wake `wrapper` if statements run on one that nobody has seen."""
    if is_asleep(wrapper) and unseen(wrapper) is not None:
        _wake(wrapper)


def seen(wrapper: Any) -> Any:
    """Return the block's wrapper, to be shown, of which `wrapper` has the state."""
    if getattr(wrapper, "reusable", None) is None:
        return wrapper
    for each in wrapper.block.wrappers.values():
        if is_asleep(each) and unseen(each) is wrapper:
            _wake(each)
            return each
    return wrapper


def is_connected(wrapper: Any) -> bool:
    """Tell whether `wrapper` has a connection, seen or not."""
    if is_asleep(wrapper):
        return unseen(wrapper) is not None
    return is_awake(wrapper) and wrapper.connection is not None


def is_awake(wrapper: Any) -> bool:
    """Tell whether `wrapper` is a block's, and has been looked at."""
    return getattr(type(wrapper), "looked_at", False)


def is_asleep(wrapper: Any) -> bool:
    """Tell whether `wrapper` is a block's, and nobody has looked at it yet."""
    return not getattr(type(wrapper), "looked_at", True)


# How the wrappers of each class are connected, by alias.
_connects: list[Any] = []


@receiver(setting_changed)  # type: ignore[untyped-decorator]
def _forget_connects(**kwargs: Any) -> None:
    """Have no wrapper used again that has its time zone, say, by other settings."""
    for each in _connects:
        each.clear()


@cache
def _block_class(base: type[BaseDatabaseWrapper], in_thread: bool) -> type[Any]:
    stamp = Stamp("settings_dict", "alias", "_thread_ident")
    own = {"stamp": stamp, "backend": base, "connects": {}}
    _connects.append(own["connects"])
    own["__module__"] = base.__module__
    if _is_djangos(base, "postgresql"):
        return type(base.__name__, (BlockWrapper, base), own)
    own |= {name: getattr(base, name, None) for name in OtherWrapper.NOT_OURS}
    if not in_thread and (djangos := _is_djangos(base, "sqlite")):
        own["djangos"] = djangos
        return type(base.__name__, (SqliteWrapper, base), own)
    return type(base.__name__, (ThreadedWrapper, base), own)


# The backends of Django's whose driver the loop can wait for without a thread.
_DJANGOS = {
    "postgresql": "django.db.backends.postgresql.base",
    "sqlite": "django.db.backends.sqlite3.base",
}


def _is_djangos(base: type[BaseDatabaseWrapper], vendor: str) -> Any:
    """Return Django's class for `vendor` if `base` is one of its kind, else None."""
    if base.vendor != vendor:
        return None
    djangos = import_module(_DJANGOS[vendor]).DatabaseWrapper
    return djangos if issubclass(base, djangos) else None


@cache
def _asleep_class(engine: str, alias: str) -> Any:
    """Return the class of new wrappers; None for Django's dummy, which only raises."""
    base = load_backend(engine).DatabaseWrapper
    if base.vendor == "unknown":
        return None
    if _is_djangos(base, "postgresql"):
        check_psycopg()
    awake = _block_class(base, in_thread=alias in conf.get("THREADED"))
    own = {"awake": awake, "looked_at": False, "named": alias}
    asleep = {"__getattribute__": _look, "__setattr__": _touch}
    return type(base.__name__, (awake,), own | asleep)


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "DJANGO_ASYNC_FAST":
        _asleep_class.cache_clear()


setting_changed.connect(_forget)


def make(block: Block, settings_dict: dict[str, Any], alias: str) -> Any:
    """Return a block's wrapper for `alias`; it connects at its first query."""
    asleep = _asleep_class(settings_dict["ENGINE"], alias)
    if asleep is None:
        dummy = load_backend(settings_dict["ENGINE"]).DatabaseWrapper
        return dummy(settings_dict, alias)
    wrapper = object.__new__(asleep)
    object.__setattr__(wrapper, "_made_of", (settings_dict, alias, block, None, None))
    return wrapper


def check_psycopg() -> None:
    """Raise ImproperlyConfigured unless psycopg and its pool are new enough."""
    from ..drivers.psycopg.requirements import psycopg_problem

    if problem := psycopg_problem():
        raise ImproperlyConfigured(problem)
