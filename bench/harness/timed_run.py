"""One turn of one contender at one case: the only place where the clock runs."""

import asyncio
import time
from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from typing import Any

from bench.shop import dataset

TASKS = 64
QUERIES_PER_UNIT = 4

Get = Callable[[int], Any]
Check = Callable[[int, Any], None]


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

    def repeat(self, get: Get) -> Awaitable[None]:
        """Time `times` gets, one after the other."""
        return self._each(self._keys(), get, self._check_one)

    def repeat_sync(self, get: Get) -> None:
        self._each_sync(self._keys(), get, self._check_one)

    async def blocks(self, make: Callable[[], Any], use: Any = None) -> None:
        """Time `async with make()`, `times` times, in which `use` of it is awaited."""
        times = range(self.times)
        with self.clock():
            for _ in times:
                async with make() as made:
                    if use is not None:
                        await use(made)

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

    def awaited(self, query: Any, do: Any) -> Awaitable[None]:
        """Time `times` of a query of `bench.shop.queries`, one after the other."""
        check = partial(self._check_answer, query)
        return self._each(self._turns(query), partial(query.ask, do), check)

    def now(self, query: Any, do: Any) -> None:
        """The same in synchronous code."""
        check = partial(self._check_answer, query)
        self._each_sync(self._turns(query), partial(query.ask, do), check)

    # ----- many rows at once

    async def written(self, bulk: Any, do: Any) -> None:
        """Time one write of `times` objects, of `bench.shop.bulk`."""
        with self._writing(bulk) as objs:
            await bulk.ask(do, objs)

    def written_now(self, bulk: Any, do: Any) -> None:
        """The same in synchronous code."""
        with self._writing(bulk) as objs:
            bulk.ask(do, objs)

    @contextmanager
    def _writing(self, bulk: Any) -> Iterator[Any]:
        """Yield the objects to write while the clock runs; look at the table then."""
        import psycopg

        with psycopg.connect(self.contender.dsn, autocommit=True) as connection:
            connection.execute("SET TIME ZONE 'UTC'")
            objs = bulk.prepare(connection, self.times)
            with self.clock():
                yield objs
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

    def pages(
        self, get: Any, is_right: Callable[[int, bytes], bool]
    ) -> Awaitable[None]:
        """Time `times` requests, one after the other."""
        check = partial(self._check_page, is_right)
        return self._each(range(self.times), get, check)

    def pages_sync(self, get: Any, is_right: Callable[[int, bytes], bool]) -> None:
        check = partial(self._check_page, is_right)
        self._each_sync(range(self.times), get, check)

    # ----- one after the other. Whoever is awaited returns this coroutine itself: one
    # more around it would be gone on with at each wait, and be measured.

    async def _each(self, turns: Sequence[int], ask: Get, check: Check) -> None:
        """Time awaiting `ask(turn)` of each turn; `check(turn, answer)` of the last."""
        if self.verify:
            for turn in turns:
                check(turn, await ask(turn))
            return
        with self.clock():
            for turn in turns:
                found = await ask(turn)
        check(turn, found)

    def _each_sync(self, turns: Sequence[int], ask: Get, check: Check) -> None:
        if self.verify:
            for turn in turns:
                check(turn, ask(turn))
            return
        with self.clock():
            for turn in turns:
                found = ask(turn)
        check(turn, found)

    # ----- answers

    def _check_page(
        self, is_right: Callable[[int, bytes], bool], turn: int, body: bytes
    ) -> None:
        if not is_right(turn, body):
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
