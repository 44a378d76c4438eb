"""One turn of one contender at one case: the only place where the clock runs."""

import asyncio
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from bench.shop import dataset

TASKS = 64
QUERIES_PER_UNIT = 4

Get = Callable[[int], Any]


class WrongAnswer(Exception):
    """A contender returned something else than what is in the table."""


class TimedRun:
    """What a contender's method measures itself with.

    A timed turn looks at the last row and at the number of rows; before it come
    turns with `verify`, untimed, that look at every one.
    """

    def __init__(self, contender: Any, rows: int, times: int, verify: bool) -> None:
        self.contender = contender
        self.rows = rows
        self.times = times
        self.verify = verify
        self.related = False
        self.seconds = 0.0
        # Of all threads of this process.
        self.cpu_seconds = 0.0

    # ----- all rows of the table, by the four ways there are to get at them

    async def stream(self, make: Callable[[], Any]) -> None:
        """Time `async for` over what `make()` returns, awaited if it has to be."""
        if self.verify:
            return self._check_all([row async for row in await _iterable(make())])
        count, row = 0, None
        with self.clock():
            async for row in await _iterable(make()):  # noqa: B007
                count += 1
        return self._check_last(count, row)

    async def fetch(self, make: Callable[[], Awaitable[Iterable[Any]]]) -> None:
        """Time awaiting `make()` and a `for` over its result."""
        if self.verify:
            return self._check_all(list(await make()))
        count, row = 0, None
        with self.clock():
            for row in await make():  # noqa: B007
                count += 1
        return self._check_last(count, row)

    def loop(self, make: Callable[[], Iterable[Any]]) -> None:
        """Time a `for` over what `make()` returns."""
        if self.verify:
            return self._check_all(list(make()))
        count, row = 0, None
        with self.clock():
            for row in make():  # noqa: B007
                count += 1
        return self._check_last(count, row)

    def swallow(self, query: Callable[[], int]) -> None:
        """Time `query()`, which throws the rows away and returns their number."""
        with self.clock():
            count = query()
        self._check_count(count)

    async def copy(self, copy: Callable[[], Awaitable[int]]) -> None:
        """Time awaiting `copy()`, which returns how many rows it has moved."""
        with self.clock():
            count = await copy()
        self._check_count(count)

    # ----- single rows

    async def repeat(self, get: Get) -> None:
        """Time `times` gets, one after the other."""
        keys = self._keys()
        if self.verify:
            for key in keys:
                self._check_one(key, await get(key))
            return
        with self.clock():
            for key in keys:
                row = await get(key)
        self._check_one(key, row)

    async def blocks(self, make: Callable[[], Any], use: Any = None) -> None:
        """Time `async with make()`, `times` times, in which `use` of it is awaited."""
        times = range(self.times)
        with self.clock():
            for _ in times:
                async with make() as made:
                    if use is not None:
                        await use(made)

    def repeat_sync(self, get: Get) -> None:
        keys = self._keys()
        if self.verify:
            for key in keys:
                self._check_one(key, get(key))
            return
        with self.clock():
            for key in keys:
                row = get(key)
        self._check_one(key, row)

    async def tasks(self, get: Get) -> None:
        """Time `times` gets by each of 64 tasks; `get` may return several rows."""
        found: list[Any] = []

        async def work(task: int) -> None:
            for key in self._keys(task):
                row = await get(key)
                if self.verify:
                    self._check_one(key, row)
            found.append((key, row))

        # The tasks exist before the clock runs: they are not what is compared.
        with self.clock():
            await asyncio.gather(*map(work, range(TASKS)))
        for key, row in found:
            self._check_one(key, row)

    def threads(self, get: Get, pool: ThreadPoolExecutor) -> None:
        """Time `times` gets by each of 64 jobs, in the threads of `pool`."""

        def work(task: int) -> tuple[int, Any]:
            for key in self._keys(task):
                row = get(key)
                if self.verify:
                    self._check_one(key, row)
            return key, row

        with self.clock():
            jobs = [pool.submit(work, task) for task in range(TASKS)]
            wait(jobs)
        for job in jobs:
            self._check_one(*job.result())

    # ----- queries of several kinds

    async def awaited(self, query: Any, do: Any) -> None:
        """Time `times` of a query of `bench.shop.queries`, one after the other."""
        turns, ask = self._turns(query), query.ask
        if self.verify:
            for turn in turns:
                self._check_answer(query, turn, await ask(do, turn))
            return
        with self.clock():
            for turn in turns:
                found = await ask(do, turn)
        self._check_answer(query, turn, found)

    def now(self, query: Any, do: Any) -> None:
        """The same in synchronous code."""
        turns, ask = self._turns(query), query.ask
        if self.verify:
            for turn in turns:
                self._check_answer(query, turn, ask(do, turn))
            return
        with self.clock():
            for turn in turns:
                found = ask(do, turn)
        self._check_answer(query, turn, found)

    # ----- many rows at once

    async def written(self, bulk: Any, do: Any) -> None:
        """Time one write of `times` objects, of `bench.shop.bulk`."""
        with self._connected() as connection:
            objs = bulk.prepare(connection, self.times)
            with self.clock():
                await bulk.ask(do, objs)
            self._check_written(bulk, connection)

    def written_now(self, bulk: Any, do: Any) -> None:
        """The same in synchronous code."""
        with self._connected() as connection:
            objs = bulk.prepare(connection, self.times)
            with self.clock():
                bulk.ask(do, objs)
            self._check_written(bulk, connection)

    def _connected(self) -> Any:
        import psycopg

        connection = psycopg.connect(self.contender.dsn, autocommit=True)
        connection.execute("SET TIME ZONE 'UTC'")
        return connection

    def _check_written(self, bulk: Any, connection: Any) -> None:
        if wrong := bulk.check(connection, self.times):
            raise WrongAnswer(wrong)

    # ----- whatever else

    @contextmanager
    def clock(self) -> Iterator[None]:
        begin, cpu_begin = time.perf_counter(), time.process_time()
        yield
        self.seconds = time.perf_counter() - begin
        self.cpu_seconds = time.process_time() - cpu_begin

    def unit_keys(self, key: int) -> list[int]:
        """Return the keys of the gets that one unit of work makes."""
        return [dataset.key(key + i, self.rows) for i in range(QUERIES_PER_UNIT)]

    def _keys(self, task: int = 0) -> list[int]:
        first = task * 1_000
        return [dataset.key(first + i, self.rows) for i in range(1, self.times + 1)]

    def _turns(self, query: Any) -> range:
        turns = range(self.times)
        if query.prepare is not None:
            query.prepare(turns)
        return turns

    # ----- pages

    async def pages(self, get: Any, check: Callable[[int, bytes], bool]) -> None:
        """Time `times` requests, one after the other."""
        if self.verify:
            for turn in range(self.times):
                self._check_page(turn, await get(turn), check)
            return
        with self.clock():
            for turn in range(self.times):
                body = await get(turn)
        self._check_page(turn, body, check)

    def pages_sync(self, get: Any, check: Callable[[int, bytes], bool]) -> None:
        if self.verify:
            for turn in range(self.times):
                self._check_page(turn, get(turn), check)
            return
        with self.clock():
            for turn in range(self.times):
                body = get(turn)
        self._check_page(turn, body, check)

    # ----- answers

    def _check_page(
        self, turn: int, body: bytes, check: Callable[[int, bytes], bool]
    ) -> None:
        if not check(turn, body):
            raise WrongAnswer(f"turn {turn}: {body[:2000]!r}")

    def _check_all(self, rows: list[Any]) -> None:
        self._check_count(len(rows))
        seen = {self._check_row(row) for row in rows}
        if seen != set(range(1, self.rows + 1)):
            raise WrongAnswer(f"{self.rows - len(seen)} rows came more than once")

    def _check_last(self, count: int, row: Any) -> None:
        self._check_count(count)
        self._check_row(row)

    def _check_count(self, count: int) -> None:
        if count != self.rows:
            raise WrongAnswer(f"{count} rows, not {self.rows}")

    def _check_one(self, key: int, row: Any) -> None:
        if isinstance(row, list):
            for each, wanted in zip(row, self.unit_keys(key), strict=True):
                self._check_one(wanted, each)
        elif self._check_row(row) != key:
            raise WrongAnswer(f"asked for {key}, got {row!r}")

    def _check_answer(self, query: Any, turn: int, found: Any) -> None:
        got, wanted = query.plain(found), query.answer(turn)
        if got != wanted:
            raise WrongAnswer(f"got {got!r}, not {wanted!r}")

    def _check_row(self, row: Any) -> int:
        """Compare all values and their types with the table's; return the id."""
        if self.related:
            values, expected = self.contender.plain_related(row), dataset.related
        else:
            values, expected = self.contender.plain(row), dataset.person
        wanted = expected(values[0])
        if values != wanted or [*map(type, values)] != [*map(type, wanted)]:
            raise WrongAnswer(f"got {values!r}, not {wanted!r}")
        return int(values[0])


async def _iterable(found: Any) -> AsyncIterable[Any]:
    # Not "is it awaitable": an iterator may well be both.
    return found if hasattr(found, "__aiter__") else await found
