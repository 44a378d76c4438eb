"""For DATABASE_ROUTERS: `django_async_fast.replicas.ReplicaRouter`."""

from .connections.replica_router import ReplicaRouter, begin_on_replicas

__all__ = ["ReplicaRouter", "begin_on_replicas"]
