"""A router that has no answer, and notes what it is asked."""

from typing import Any


class Router:
    def __init__(self) -> None:
        self.asked: list[Any] = []

    def db_for_read(self, model: Any, **hints: Any) -> None:
        self.asked.append(("read", model, sorted(hints)))

    def db_for_write(self, model: Any, **hints: Any) -> None:
        self.asked.append(("write", model, sorted(hints)))

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> None:
        self.asked.append(("relation", type(one), type(other)))
