"""Settings and asgiref's locals, which the core finds: as if Django had, and asgiref."""

from contextvars import copy_context
from importlib.util import module_from_spec, spec_from_file_location
from threading import Thread
from typing import Any
from unittest import mock

import pytest
from asgiref import local
from django.conf import LazySettings, settings
from django.test import override_settings
from django.utils.functional import LazyObject
from hypothesis import given
from hypothesis import strategies as st

from tests.support.noted import noted


def test_settings_are_those_of_now() -> None:
    assert settings.PREPEND_WWW is False
    with override_settings(PREPEND_WWW=True):
        assert settings.PREPEND_WWW is True
        settings.PREPEND_WWW = "no"
        assert settings.PREPEND_WWW == "no"
        del settings.PREPEND_WWW
        assert not hasattr(settings, "PREPEND_WWW")
    assert settings.PREPEND_WWW is False


def test_a_settings_class_may_have_no_hash() -> None:
    class Kind(type):
        def __eq__(cls, other: object) -> bool:
            return cls is other

    value = Kind("Value", (), {})()
    with override_settings(PREPEND_WWW=value):
        for _ in range(2):  # the second is found in its dict
            assert settings.PREPEND_WWW is value


def test_a_property_goes_before_what_was_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.PREPEND_WWW is settings.__dict__["PREPEND_WWW"] is False
    asked = property(lambda self: "asked")
    monkeypatch.setattr(LazySettings, "PREPEND_WWW", asked, raising=False)
    assert settings.PREPEND_WWW == "asked"


def test_what_masks_the_wrapped_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    masked = mock.Mock(_mask_wrapped=False)
    monkeypatch.setitem(settings.__dict__, "PREPEND_WWW", masked)
    assert settings.PREPEND_WWW is False
    assert settings.__class__ is settings._wrapped.__class__


def test_a_tool_that_asks_lazy_objects_is_asked() -> None:
    assert settings.PREPEND_WWW is False
    with noted(LazyObject, "__getattribute__") as asked:
        assert settings.PREPEND_WWW is False
    assert [name for _, name in asked] == ["PREPEND_WWW"]


def test_a_subclass_is_asked_its_own_way() -> None:
    class Shouting:
        def __getattribute__(self, name: str) -> Any:
            return super().__getattribute__(name if name[0] == "_" else "DEBUG")

    class Settings(LazySettings, Shouting):
        pass

    own = Settings()
    own.__dict__["DEBUG"] = "found"
    assert own.anything == "found"


def _stock_local() -> Any:
    spec = spec_from_file_location("stock_local", local.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


STOCK = _stock_local()
NAMES = st.sampled_from(["x", "y", "_data", "_storage", "_lock", "__class__", "é"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["get", "set", "delete", "thread", "leave"]), NAMES)
)


def _taken(module: Any, steps: list[tuple[str, str]]) -> list[str]:
    """Return what comes of `steps` on a local of `module`, and what it holds then."""
    ours, found = module.Local(), list[str]()

    def step(what: str, name: str) -> None:
        try:
            if what == "set":
                setattr(ours, name, f"{name} {len(found)}")
            elif what == "delete":
                delattr(ours, name)
            value = getattr(ours, name, "nothing")
            found.append(value if isinstance(value, str) else type(value).__name__)
        except Exception as exc:
            found.append(f"{type(exc).__name__}: {_nameless(exc, module)}")

    for what, name in steps:
        if what == "thread":
            # Which has a copy of the context, as those of a free-threaded Python have.
            thread = Thread(target=copy_context().run, args=(step, "get", name))
            thread.start()
            thread.join()
        elif what == "leave":
            copy_context().run(step, "set", name)
        else:
            step(what, name)
    own = object.__getattribute__(ours, "__dict__")["_storage"]
    kept = getattr(own, "_data", None)
    return [*found, str(kept and getattr(kept.get(None), "data", None))]


def _nameless(exc: Exception, module: Any) -> str:
    text = str(exc).replace(module.__name__, "asgiref.local")
    return text.partition(" at 0x")[0] + text.rpartition(">")[2]


@given(STEPS)
def test_locals_do_as_asgirefs(steps: list[tuple[str, str]]) -> None:
    assert _taken(local, steps) == _taken(STOCK, steps)


def test_a_local_without_a_value_says_what_asgirefs_does() -> None:
    for ours in (local.Local(), local.Local(), STOCK.Local()):
        own = object.__getattribute__(ours, "_storage")
        for name in ("x", "y", "x"):
            with pytest.raises(AttributeError) as caught:
                getattr(ours, name)
            assert str(caught.value) == f"{own!r} object has no attribute {name!r}"


def test_greenlets_for_threads_have_values_of_their_own() -> None:
    for ours in (local.Local(), STOCK.Local()):
        ours.x = 1
        with mock.patch("threading.get_ident", return_value=-1):
            assert not hasattr(ours, "x")
            ours.x = 2
            assert ours.x == 2
        assert not hasattr(ours, "x")


def test_a_tool_that_asks_locals_is_asked() -> None:
    ours = local.Local()
    ours.x = 1
    with (
        noted(local._CVar, "__getattr__") as got,
        noted(local._CVar, "__setattr__") as was_set,
        noted(local._CVar, "__delattr__") as deleted,
    ):
        ours.x = 2
        assert ours.x == 2
        del ours.x
    asked = [[args for _, *args in each] for each in (got, was_set, deleted)]
    assert asked == [[["x"]], [["x", 2]], [["x"]]]
