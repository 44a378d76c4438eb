"""How long connections of pools are opened, waited for and used, for OpenTelemetry.

Asked once for each pool, when it is made: where nobody records, it is a pool as any.
"""

from functools import cache
from importlib import import_module
from time import perf_counter
from typing import Any
from weakref import WeakKeyDictionary

from ..drivers.psycopg.connect_hooks import PoolConnectionClass
from ..drivers.psycopg.session import Session
from . import fast_checkout, loop_pool

# Seconds, as the conventions have them for operations of database clients.
BOUNDARIES = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)


def entry(loop: Any, alias: str, params: dict[str, Any]) -> loop_pool.Pool:
    """Return what a pool is kept in: one that measures, where a provider records."""
    kind = MeasuredPool if _is_recorded() else loop_pool.Pool
    return kind(loop, alias, params)


def _is_recorded() -> bool:
    """Tell whether a provider is set that is not the API's own, which drops all."""
    provider = import_module("opentelemetry.metrics").get_meter_provider()
    return not type(provider).__module__.startswith("opentelemetry.metrics")


@cache
def _histogram(name: str, text: str) -> Any:
    meter = import_module("opentelemetry.metrics").get_meter("django_async_fast")
    arguments = (f"db.client.connection.{name}", "s", text)
    try:
        return meter.create_histogram(
            *arguments, explicit_bucket_boundaries_advisory=BOUNDARIES
        )
    except TypeError:  # an API that has no advice
        return meter.create_histogram(*arguments)


class MeasuredPool(loop_pool.Pool):
    """A pool whose times are recorded."""

    def __init__(self, loop: Any, alias: str, params: dict[str, Any]) -> None:
        super().__init__(loop, alias, params)
        self.attributes = {"db.client.connection.pool.name": alias}
        self.create_time = _histogram(
            "create_time", "Seconds until a connection was open."
        )
        self.wait_time = _histogram(
            "wait_time", "Seconds until a connection of the pool was there."
        )
        self.use_time = _histogram(
            "use_time", "Seconds until a connection was given back."
        )
        self.taken: WeakKeyDictionary[Session, float] = WeakKeyDictionary()

    def connection_class(self, kind: Any) -> PoolConnectionClass:
        return MeasuredConnectionClass(kind, self)

    def take_at_once(self, pool: fast_checkout.Pool) -> Session | None:
        began = perf_counter()
        session = fast_checkout.take(pool)
        if session is not None:
            self._was_taken(session, began)
        return session

    def checkout(self) -> Session:
        began = perf_counter()
        session = super().checkout()
        self._was_taken(session, began)
        return session

    def give_at_once(self, pool: fast_checkout.Pool, session: Session) -> bool:
        given = fast_checkout.give(pool, session)
        if given:
            self._was_given(session)
        return given

    def begin_giving(self, session: Session) -> Any:
        self._was_given(session)
        return super().begin_giving(session)

    def _was_taken(self, session: Session, began: float) -> None:
        now = self.taken[session] = perf_counter()
        self.wait_time.record(now - began, self.attributes)

    def _was_given(self, session: Session) -> None:
        # Not there: nobody had received it.
        if (taken := self.taken.pop(session, None)) is not None:
            self.use_time.record(perf_counter() - taken, self.attributes)


class MeasuredConnectionClass(PoolConnectionClass):
    """Records how long connections are opened."""

    def __init__(self, kind: Any, pool: MeasuredPool) -> None:
        super().__init__(kind, pool.alias)
        self._pool = pool

    async def connect(self, conninfo: str = "", **params: Any) -> Session:
        began = perf_counter()
        session = await super().connect(conninfo, **params)
        self._pool.create_time.record(perf_counter() - began, self._pool.attributes)
        return session
