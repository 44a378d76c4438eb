"""The URLs of a child process, which fills them in."""

from typing import Any

urlpatterns: list[Any] = []
