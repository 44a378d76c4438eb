"""django-cachalot: queries that find their result in a cache; writes empty it."""

from typing import Any

from django.core.cache.backends.locmem import LocMemCache

from tests.beside.tool import Tool

# What the cache was asked: cachalot's keys are hashes of statement and parameters.
asked: list[list[Any]] = []


class Told(LocMemCache):
    """A cache that tells what was found in it, and what was put there."""

    def get_many(self, keys: Any, version: Any = None) -> Any:
        found = super().get_many(keys, version)
        asked.append(["get", *sorted([key, key in found] for key in keys)])
        return found

    def set_many(self, data: Any, *args: Any, **named: Any) -> Any:
        asked.append(["set", *sorted(data)])
        return super().set_many(data, *args, **named)


class Cachalot(Tool):
    """With our app behind it."""

    package = "cachalot"
    apps = ["cachalot"]
    settings = {"CACHES": {"default": {"BACKEND": f"{__name__}.{Told.__name__}"}}}

    def seen(self) -> Any:
        return asked


class CachalotBehind(Cachalot):
    """With our app in front of it."""

    ours_first = True
