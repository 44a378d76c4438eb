"""For DATABASE_ROUTERS: `django_async_fast.replicas.ReplicaRouter`."""

from .connections.replica_router import ReplicaRouter as ReplicaRouter
from .connections.replica_router import begin_on_replicas as begin_on_replicas

__all__ = ["ReplicaRouter", "begin_on_replicas"]
