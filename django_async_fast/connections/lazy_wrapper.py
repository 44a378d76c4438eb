"""A database wrapper that is built at its first use.

Django's wrapper costs several times what the rest of a block does, and there are blocks
in which nothing is asked of the database.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import load_backend
from django.dispatch import receiver

from .. import _native, conf
from ..attribute_copies import AttributeCopies
from ..drivers.psycopg.requirements import psycopg_problem
from ..tasks.gates import Gate
from ..tasks.scopes import entered_scope
from ..unpatched import unpatched_class
from . import replayed_connect
from .block_protocol import Block
from .mysql_wrapper import MysqlWrapper
from .postgresql_wrapper import PostgresqlWrapper
from .sqlite_wrapper import SqliteWrapper
from .threaded_wrapper import ThreadedWrapper
from .wrapper import CLOSING
from .wrapper_attributes import HELPERS

# A lazy wrapper's attributes, past its `__getattribute__`: to ask `object` for each of
# them costs three times as much.
_own: Callable[[Any], dict[str, Any]] = vars(BaseDatabaseWrapper)["__dict__"].__get__
_new = object.__new__


def _getattribute(wrapper: Any, name: str) -> Any:
    """`__getattribute__` of a lazy wrapper."""
    if name != "features":
        _build(wrapper)
        return getattr(wrapper, name)
    # Related managers ask for them, which say what the backend does at any time. What
    # they have to ask the server they ask by this wrapper, and build it.
    own = _own(wrapper)
    return own.get(name) or own.setdefault(name, type(wrapper).features_class(wrapper))


def _setattr(wrapper: Any, name: str, value: Any) -> None:
    """`__setattr__` of a lazy wrapper."""
    _build(wrapper)
    setattr(wrapper, name, value)


def _build(wrapper: Any) -> None:
    arguments = _own(wrapper)["_arguments"]
    settings_dict, alias, block, gate, hidden = arguments
    object.__setattr__(wrapper, "__class__", type(wrapper).built_class)
    del wrapper._arguments
    asked = wrapper.__dict__
    if hidden is not None:
        # A statement may be in flight on the hidden one: both have one state.
        wrapper.__dict__ = vars(hidden)
        hidden.reveal()
        wrapper.__dict__ |= asked
        return
    wrapper.__init__(settings_dict, alias)
    wrapper.__dict__ |= asked
    # It may be used first in another thread.
    wrapper._thread_ident = block.thread
    wrapper.block = block
    if gate is None:
        wrapper.gate.root.place = block.place
        wrapper.gate.units = block.units
    else:
        wrapper.gate = gate


def claim_gate(wrapper: Any) -> Gate | None:
    """Return the gate that a lazy wrapper will have, or None if it has been claimed.

    Whoever claims it opens the connection: others wait for that, not for one more.
    """
    arguments = _own(wrapper)["_arguments"]
    settings_dict, alias, block, gate, _ = arguments
    if gate is not None:
        return None
    gate = Gate(alias, block.place, block.units)
    _own(wrapper)["_arguments"] = settings_dict, alias, block, gate, None
    return gate


def _new_hidden(
    wrapper: Any,
    replay: replayed_connect.ReplayedConnect,
    entry: Any,
    session: Any,
    gate: Gate | None,
) -> Any:
    """Return a wrapper with the attributes that Django has given another, or None."""
    if (values := replay.attributes()) is None:
        return None
    settings_dict, alias, block, *_ = _own(wrapper)["_arguments"]
    values["gate"] = gate = gate or Gate(alias, block.place, block.units)
    values["settings_dict"], values["reusable"] = settings_dict, replay
    values["pool"] = handle = entry.handle(gate)
    values["connection"] = handle.view(session)
    made = _new(type(wrapper).built_class)
    made.__dict__ = values
    return made


def hidden(wrapper: Any) -> Any:
    """Return the hidden wrapper that a lazy one's statements run on, or None."""
    return _own(wrapper)["_arguments"][-1]


def _finish_at_once(wrapper: Any) -> bool:
    """End with the block, without waiting; False where a connection is left."""
    if is_lazy(wrapper):
        _own(wrapper).pop("features", None)  # which has it in turn
        return True
    return not is_built(wrapper) or bool(wrapper.finish_at_once())


# A block's only statements may run on a wrapper that nobody sees, which the next block
# goes on with: only the core sends statements so.
HIDDEN: Any = _native.COMPILED and _native.rows.HiddenWrappers(
    new=_new_hidden,
    build=_build,
    names=(*HELPERS, *CLOSING),
    watch_of=lambda kind: unpatched_class(kind, kind.djangos, CLOSING).watch,
    entered_scope=entered_scope,
)
finish_at_once: Callable[[Any], bool] = (
    HIDDEN.finish_at_once if HIDDEN else _finish_at_once
)


def reveal(wrapper: Any) -> None:
    """Build `wrapper` if its statements run on a hidden one."""
    if is_lazy(wrapper) and hidden(wrapper) is not None:
        _build(wrapper)


def visible(wrapper: Any) -> Any:
    """Return the block's own wrapper in the place of `wrapper`, if that is hidden."""
    if getattr(wrapper, "reusable", None) is None:
        return wrapper
    for each in wrapper.block.wrappers.values():
        if is_lazy(each) and hidden(each) is wrapper:
            _build(each)
            return each
    return wrapper


def is_connected(wrapper: Any) -> bool:
    """Tell whether `wrapper`, or a hidden one in its place, has a connection."""
    if is_lazy(wrapper):
        return hidden(wrapper) is not None
    return is_built(wrapper) and wrapper.connection is not None


def was_connected(wrapper: Any) -> bool:
    """Tell whether `wrapper`, or a hidden one in its place, has had a connection."""
    if is_lazy(wrapper):
        return hidden(wrapper) is not None
    return getattr(wrapper, "connection", None) is not None or getattr(
        wrapper, "was_connected", False
    )


def is_built(wrapper: Any) -> bool:
    """Tell whether `wrapper` is a block's, and has been used."""
    return getattr(type(wrapper), "built", False)


def is_lazy(wrapper: Any) -> bool:
    """Tell whether `wrapper` is a block's, and nobody has used it yet."""
    return not getattr(type(wrapper), "built", True)


# How the wrappers of each class are connected, by alias.
_replayed_connects: list[Any] = []


@receiver(setting_changed)  # type: ignore[untyped-decorator]
def _forget_connects(**kwargs: Any) -> None:
    """Have no wrapper used again that has its time zone, say, by other settings."""
    for each in _replayed_connects:
        each.clear()


@cache
def _block_class(base: type[BaseDatabaseWrapper], in_thread: bool) -> type[Any]:
    init_attributes = AttributeCopies("settings_dict", "alias", "_thread_ident")
    own = {"init_attributes": init_attributes, "backend": base, "replayed_connects": {}}
    _replayed_connects.append(own["replayed_connects"])
    own["__module__"] = base.__module__
    if _is_djangos(base, "postgresql"):
        return type(base.__name__, (PostgresqlWrapper, base), own)
    if not in_thread and (djangos := _is_djangos(base, "sqlite")):
        own["djangos"] = djangos
        return type(base.__name__, (SqliteWrapper, base), own)
    if djangos := _is_djangos(base, "mysql"):
        own |= {"djangos": djangos, "in_thread": in_thread}
        return type(base.__name__, (MysqlWrapper, base), own)
    return type(base.__name__, (ThreadedWrapper, base), own)


# The backends of Django's whose driver is not just called in a thread.
_DJANGOS = {
    "mysql": "django.db.backends.mysql.base",
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
def _lazy_class(engine: str, alias: str) -> Any:
    """Return the class of new wrappers; None for Django's dummy, which only raises."""
    base = load_backend(engine).DatabaseWrapper
    if base.vendor == "unknown":
        return None
    # Before one is opened: earlier ones lose connections.
    if _is_djangos(base, "postgresql") and (problem := psycopg_problem()):
        raise ImproperlyConfigured(problem)
    built_class = _block_class(base, in_thread=alias in conf.get("THREADED"))
    own = {"built_class": built_class, "built": False, "for_alias": alias}
    own |= {"__getattribute__": _getattribute, "__setattr__": _setattr}
    return type(base.__name__, (built_class,), own)


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "DJANGO_ASYNC_FAST":
        _lazy_class.cache_clear()


setting_changed.connect(_forget)


def make(block: Block, settings_dict: dict[str, Any], alias: str) -> Any:
    """Return a block's wrapper for `alias`; it connects at its first query."""
    lazy = _lazy_class(settings_dict["ENGINE"], alias)
    if lazy is None:
        dummy = load_backend(settings_dict["ENGINE"]).DatabaseWrapper
        return dummy(settings_dict, alias)
    wrapper = _new(lazy)
    _own(wrapper)["_arguments"] = settings_dict, alias, block, None, None
    return wrapper
