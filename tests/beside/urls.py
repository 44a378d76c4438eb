"""The URLs of a child process, which fills them in."""

from __future__ import annotations

from typing import Any

urlpatterns: list[Any] = []
