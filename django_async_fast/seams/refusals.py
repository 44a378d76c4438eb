"""What a query in a coroutine of a block is told: what it was for, and the ways out.

Django refuses every query on the event loop with the same sentence. Its advice,
a thread, would leave the block; so what was asked for is looked up in the
frames that wait for the answer. They are read only once the query is refused.
"""

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from django.core.exceptions import SynchronousOnlyOperation
from django.db.models import Model, QuerySet
from django.db.models.fields.related_descriptors import (
    ForwardManyToOneDescriptor,
    ReverseOneToOneDescriptor,
)
from django.db.models.query import RawQuerySet
from django.db.models.query_utils import DeferredAttribute

from ..bridge.users_code import module_of
from ..connections.blocks import open_block

# What to await in the place of a method of the connection; {0} is its alias.
_AWAITED = {
    "cursor": "async with async_connections[{0!r}].acursor() as cursor:",
    "close": "await async_connections[{0!r}].aclose()",
    "commit": "await transaction.acommit({0!r})",
    "rollback": "await transaction.arollback({0!r})",
    "savepoint": "await transaction.asavepoint({0!r})",
    "savepoint_commit": "await transaction.asavepoint_commit(sid, {0!r})",
    "savepoint_rollback": "await transaction.asavepoint_rollback(sid, {0!r})",
    "clean_savepoints": "await transaction.aclean_savepoints({0!r})",
}
# What is between such a method and whoever calls it, if not the ORM.
_AROUND = ("contextlib", "django.db.backends.", "django.db.transaction")

# Those that a join can load; other relations are prefetched.
_JOINED = (ForwardManyToOneDescriptor, ReverseOneToOneDescriptor)
_QUERYSETS = (QuerySet, RawQuerySet)


def refusal(message: str) -> SynchronousOnlyOperation:
    """Return the error for a query on the event loop; Django's is `message`."""
    if open_block() is None:
        return SynchronousOnlyOperation(message)
    frame = sys._getframe(1)
    return SynchronousOnlyOperation(
        _explained(frame)
        or _of_connection(frame)
        or f"{message} Here that is `await run_sync(function, ...)`: in a thread it "
        "would not be part of the new_connection() block."
    )


def _explained(frame: FrameType | None) -> str:
    """Return what the query was for, from the frames around it, or ''."""
    queryset: Any = None
    for code, arguments in _calls(frame):
        if code == "__get__" and len(arguments) == 2:
            if found := _of_attribute(*arguments):
                return found
        elif queryset is None and arguments and isinstance(arguments[0], _QUERYSETS):
            queryset = arguments[0]
    return "" if queryset is None else _of_queryset(queryset)


def relation(frame: FrameType | None) -> tuple[Model, str, str] | None:
    """Return whose relation the calls in progress load, its name, and how to before."""
    queryset: Any = None
    for code, arguments in _calls(frame):
        if code == "__get__" and len(arguments) == 2:
            descriptor, instance = arguments
            if isinstance(instance, Model) and _is_relation(descriptor):
                name = _name_of(descriptor, type(instance))
                return instance, _label(instance, name), _loading_method(descriptor)
        elif queryset is None and arguments and isinstance(arguments[0], _QUERYSETS):
            queryset = arguments[0]
    name = "" if queryset is None else _manager_of(queryset)
    if not name:
        return None
    instance = queryset._hints["instance"]
    return instance, _label(instance, name), "prefetch_related"


def _calls(frame: FrameType | None) -> Iterator[tuple[str, list[Any]]]:
    """Yield the calls in progress, the innermost first: a name, two arguments."""
    while frame is not None:
        code, values = frame.f_code, frame.f_locals
        names = code.co_varnames[: min(code.co_argcount, 2)]
        yield code.co_name, [values.get(name) for name in names]
        frame = frame.f_back


def _of_attribute(descriptor: Any, instance: Any) -> str:
    if not isinstance(instance, Model):
        return ""
    if isinstance(descriptor, DeferredAttribute):
        name = descriptor.field.attname
        return (
            f"{_label(instance, name)} is deferred, and a coroutine cannot wait for "
            "it. Select it with the others: leave it out of `defer()`, or name it in "
            f"`only()`; or call `await instance.arefresh_from_db(fields=[{name!r}])` "
            "before; or run the code that reads it as `await run_sync(function, ...)`."
        )
    if not _is_relation(descriptor):
        return ""  # a cached_property, say: what it calls is the cause
    name = _name_of(descriptor, type(instance))
    how = _loading_method(descriptor)
    return (
        f"{_label(instance, name)} is not loaded, and a coroutine cannot wait for it. "
        f"Load it with the query, `.{how}({name!r})`; or before it is read, `await "
        f"afetch_related(instance, {name!r})`; or run the code that reads it as `await "
        "run_sync(function, ...)`."
    )


def _of_queryset(queryset: Any) -> str:
    instance, name = queryset._hints.get("instance"), _manager_of(queryset)
    what = _label(instance, name) if name else f"{queryset.model.__name__} objects"
    early = f"load it before, `await afetch_related(instance, {name!r})`; or "
    return (
        f"The query for {what} was not awaited. Use the method that begins with `a`, "
        f"`async for` or `await alist(queryset)`; or {early if name else ''}run the "
        "code as `await run_sync(function, ...)`."
    )


def _of_connection(frame: FrameType | None) -> str:
    """Return what is said of a method that the project itself calls, or ''.

    `frame` is that of Django's guard around it.
    """
    if frame is None:
        return ""
    guarded = frame.f_locals
    name = getattr(guarded.get("func"), "__name__", "")
    if name not in _AWAITED:
        return ""
    caller = frame.f_back
    while caller is not None and module_of(caller).startswith(_AROUND):
        caller = caller.f_back
    if caller is None or module_of(caller).startswith("django."):
        return ""
    alias = guarded["args"][0].alias
    return (
        f"{name}() of the connection '{alias}' waits for the database, which a "
        f"coroutine has to await: `{_AWAITED[name].format(alias)}`; or run the code "
        "that calls it as `await run_sync(function, ...)`."
    )


def _manager_of(queryset: Any) -> str:
    """Return the attribute of an instance that `queryset` comes from, or ''."""
    instance = queryset._hints.get("instance")
    if instance is None:
        return ""
    for field in queryset._known_related_objects:
        return field.remote_field.get_accessor_name() or ""
    # A many-to-many manager leaves no more than the instance behind.
    fields = [
        field
        for field in instance._meta.get_fields()
        if field.many_to_many and field.related_model is queryset.model
    ]
    if len(fields) != 1:
        return ""
    field = fields[0]
    return (field.get_accessor_name() if field.auto_created else field.name) or ""


def _is_relation(descriptor: Any) -> bool:
    return hasattr(descriptor, "get_prefetch_querysets")


def _loading_method(descriptor: Any) -> str:
    return "select_related" if isinstance(descriptor, _JOINED) else "prefetch_related"


def _name_of(descriptor: Any, model: type[Model]) -> str:
    """Return the attribute of `model` that `descriptor` is."""
    for kind in model.__mro__:
        for name, value in vars(kind).items():
            if value is descriptor:
                return name
    return type(descriptor).__name__


def _label(instance: Model, name: str) -> str:
    return f"{type(instance).__name__}.{name}"
