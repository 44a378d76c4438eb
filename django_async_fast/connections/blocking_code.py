"""`@blocking`: code that would hold up the loop, and goes to a thread of the block.

It waits for something else than the database (an HTTP call, a file, a lock held over a
query), or computes for long. Where nothing waits on the loop it is called as it is.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any, TypeVar

from asgiref.sync import SyncToAsync, iscoroutinefunction
from django.core.exceptions import ImproperlyConfigured

from .. import bridge, conf
from ..bridge import driving
from . import block_threads

F = TypeVar("F", bound=Callable[..., Any])

# What Django asks middleware for, beside calling it.
_HOOKS = ("process_view", "process_exception", "process_template_response")


def blocking(func: F) -> F:
    """Return `func`, a function, a view or middleware, so that it runs in a thread.

    Called in a block, it runs in a thread in which `connections[alias]` is the block's;
    the caller waits, the loop does not. What comes after a middleware goes on on the
    loop. Raises TypeError for what is asynchronous.
    """
    if iscoroutinefunction(func) or inspect.isasyncgenfunction(func):
        raise TypeError(
            f"@blocking is for synchronous code. In {func.__qualname__} the lines that "
            "block belong in `await sync_to_async(function)()`."
        )
    if isinstance(func, type):
        return _middleware_class(func)
    if [*_parameters(func)] == ["get_response"]:
        return _middleware_factory(func)
    return _in_thread(func)


def _parameters(func: Callable[..., Any]) -> Any:
    try:
        return inspect.signature(func).parameters
    except (TypeError, ValueError):
        return ()


def _in_thread(func: Any) -> Any:
    threaded = SyncToAsync(func)

    @wraps(func)
    def inner(*args: Any, **kwargs: Any) -> Any:
        if not bridge.can_wait():
            return func(*args, **kwargs)
        return driving.await_driven(threaded(*args, **kwargs))

    return inner


def _middleware_factory(factory: Any) -> Any:
    @wraps(factory)
    def inner(get_response: Callable[..., Any]) -> Any:
        made = factory(_on_loop(get_response))
        # An asynchronous one is not for a thread.
        return made if iscoroutinefunction(made) else _in_thread(made)

    return inner


def _middleware_class(kind: Any) -> Any:
    def init(self: Any, get_response: Callable[..., Any], *args: Any) -> None:
        kind.__init__(self, _on_loop(get_response), *args)

    own = {
        name: _in_thread(getattr(kind, name)) for name in _HOOKS if hasattr(kind, name)
    }
    own |= {"__init__": init, "__call__": _in_thread(kind.__call__)}
    own |= {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    return type(kind.__name__, (kind,), own)


def _on_loop(get_response: Callable[..., Any]) -> Callable[..., Any]:
    if iscoroutinefunction(get_response):
        return get_response

    @wraps(get_response)
    def inner(request: Any) -> Any:
        if block_threads.in_block_thread():
            return block_threads.run_on_loop(get_response, request)
        return get_response(request)

    return inner


def named() -> list[tuple[Any, str, Any]]:
    """Return owner, name and the function in a thread, for each path in BLOCKING.

    Raises ImproperlyConfigured for a path that leads to nothing.
    """
    return [_found(path) for path in conf.get("BLOCKING")]


def _found(path: str) -> tuple[Any, str, Any]:
    """Return what has what `path` names, a module or a class, and both of them."""
    *above, name = path.split(".")
    why = "which is no function or class"
    for length in range(len(above), 0, -1):
        try:
            owner: Any = import_module(".".join(above[:length]))
        except ModuleNotFoundError as exc:
            if length == 1:
                why = f"which cannot be imported: {exc}"
            continue
        for each in above[length:]:
            owner = getattr(owner, each, None)
        if callable(found := getattr(owner, name, None)):
            return owner, name, blocking(found)
    raise ImproperlyConfigured(f"BLOCKING lists {path!r}, {why}.")
