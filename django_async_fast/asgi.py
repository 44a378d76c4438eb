"""For asgi.py: pools that live as long as the server."""

from .requests.lifespan import close_pools, lifespan, open_pools

__all__ = ["close_pools", "lifespan", "open_pools"]
