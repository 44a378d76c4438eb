"""Column types, as if nobody had read anything yet."""

from __future__ import annotations

from django_async_fast import formats, planning


def forget_types() -> None:
    formats._seen.clear()
    planning._plain.clear()  # plans know the types of their columns
