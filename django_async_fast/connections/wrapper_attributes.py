"""What Django gives a wrapper at once: copied, or made when it is asked for."""

from _thread import get_ident
from typing import TYPE_CHECKING, Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.functional import cached_property

from ..attribute_copies import AttributeCopies
from ..tasks.gates import Gate
from ..unpatched import unpatched_class

_INIT = ("__init__",)


def _helper(name: str) -> Any:
    """Return the property that makes `wrapper.ops` and its like when asked for."""

    def make(wrapper: Any) -> Any:
        return getattr(wrapper, f"{name}_class")(wrapper)

    helper = cached_property(make)
    helper.__doc__ = f"Django's `{name}` of this connection."
    return helper


# What knows the wrapper, or may differ in another block.
HELPERS = frozenset(
    {
        *("client", "creation", "features", "introspection", "ops", "validation"),
        *("Database", "wrap_database_errors"),
    }
)
_ASKED_FOR = HELPERS | {"timezone", "timezone_name"}


def _is_helper(wrapper: Any, name: str) -> bool:
    return type(vars(wrapper)[name]) is getattr(wrapper, f"{name}_class", None)


# What the mixin is mixed with, to type checkers that know Django's.
if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper as _Backend
else:
    _Backend = object


class WrapperAttributes(_Backend):
    """Part of a block's wrapper: its attributes."""

    # What Django's `__init__` sets; the class of each backend has one.
    init_attributes: AttributeCopies
    # The backend's class.
    backend: Any
    # Django's.
    connection: Any
    needs_rollback: bool
    queries_limit: int
    atomic_blocks: list[Any]
    savepoint_ids: list[Any]
    run_on_commit: list[Any]

    def __init__(self, settings_dict: dict[str, Any], alias: str) -> None:
        fresh = self.init_attributes.copy()
        if (
            fresh is None
            or not unpatched_class(self.backend, BaseDatabaseWrapper, _INIT).holds()
            or fresh["queries_log"].maxlen != self.queries_limit
        ):
            super().__init__(settings_dict, alias)
            self._record_init_attributes()
        else:
            fresh["settings_dict"] = settings_dict
            fresh["alias"] = alias
            fresh["_thread_ident"] = get_ident()
            self.__dict__ = fresh
        self.gate = Gate(alias, None)

    def _record_init_attributes(self) -> None:
        """Record what Django has just set, for the next ones."""
        if self.init_attributes.recorded:
            return
        values = vars(self)
        self.init_attributes.record(
            {name: values[name] for name in values if not _is_helper(self, name)}
        )

    # Django makes the helpers at once. One is called at most in most blocks.
    client = _helper("client")
    creation = _helper("creation")
    features = _helper("features")
    introspection = _helper("introspection")
    ops = _helper("ops")
    validation = _helper("validation")

    def _forget_helpers(self) -> None:
        for name in self.__dict__.keys() & _ASKED_FOR:
            del self.__dict__[name]
