"""Sets of `threading.local` values, exchanged around bridged calls."""

import asyncio
import gc
import random
import threading
import weakref
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from django.db import connection

from django_async_fast import _native, bridge, new_connection, run_sync
from django_async_fast.connections import block_threads, blocks
from django_async_fast.test import shared_connection
from tests.testapp.models import Tag

if not _native.COMPILED:
    pytest.skip("the compiled core exchanges them", allow_module_level=True)

kept = threading.local()
ThreadLocals = _native.rows.ThreadLocals


class Default(threading.local):
    def __init__(self, value: int = 0) -> None:
        self.value = value


class Thing:
    pass


@pytest.fixture(autouse=True)
def clean() -> Any:
    yield
    kept.__dict__.clear()


def put(value: Any) -> None:
    kept.value = value


def take() -> Any:
    return getattr(kept, "value", None)


def test_a_set_has_values_of_its_own() -> None:
    default = Default(5)
    one, other = ThreadLocals(), ThreadLocals()
    assert not one
    put("thread's")
    one.call(put, "one's")
    other.call(put, "other's")
    one.call(setattr, default, "value", 6)
    assert one
    assert (take(), one.call(take), other.call(take)) == (
        "thread's",
        "one's",
        "other's",
    )
    assert (default.value, one.call(getattr, default, "value")) == (5, 6)
    assert other.call(getattr, default, "value") == 5
    one.clear()
    assert one.call(take) is None


def test_exceptions_leave_the_threads_own_in_place() -> None:
    own = ThreadLocals()
    put("thread's")
    with pytest.raises(ZeroDivisionError):
        own.call(lambda: 1 / 0)
    assert take() == "thread's"


def test_calls_nest() -> None:
    one, other = ThreadLocals(), ThreadLocals()

    def inside() -> list[Any]:
        put("one's")
        found = [other.call(take), one.call(take)]
        other.call(put, "other's")
        one.clear()  # in place: it stays
        return [*found, take(), other.call(lambda: one.call(take))]

    assert one.call(inside) == [None, "one's", "one's", "other's"]
    assert take() is None


def test_a_set_is_for_the_thread_that_made_it() -> None:
    own, found = ThreadLocals(), []

    def thread() -> None:
        put("other thread's")
        found.append(own.call(take))

    own.call(put, "own")
    other = threading.Thread(target=thread)
    other.start()
    other.join()
    assert found == ["other thread's"]
    assert own.call(take) == "own"


def test_values_are_freed_with_the_set() -> None:
    gc.disable()
    try:
        own, things = ThreadLocals(), []
        for how in (own.clear, lambda: None):
            thing = Thing()
            things.append(weakref.ref(thing))
            own.call(put, thing)
            del thing
            assert things[-1]() is not None
            how()
            if how is own.clear:
                assert things[-1]() is None
        del own, how
        assert things[-1]() is None
    finally:
        gc.enable()


def test_locals_that_die_while_a_set_is_put_aside() -> None:
    """Another one is made in their place, and must not find their values."""
    own = ThreadLocals()
    for _ in range(200):
        local = threading.local()
        own.call(setattr, local, "value", Thing())
        local.value = Thing()
        own.call(lambda: None)
        del local  # here the set is aside; in the next one, the thread's own
        fresh = threading.local()
        assert not hasattr(fresh, "value")
        assert not own.call(hasattr, fresh, "value")
        own.call(setattr, fresh, "value", Thing())
        fresh.value = Thing()
        box = [fresh]
        del fresh
        own.call(box.clear)
        again = threading.local()
        assert not hasattr(again, "value")
        assert not own.call(hasattr, again, "value")


async def test_bridged_calls_of_a_context_have_its_set() -> None:
    async def one(i: int) -> None:
        bridge.thread_locals.set(ThreadLocals())

        def work() -> None:
            assert take() is None
            put(i)
            for _ in range(5):
                bridge.await_(asyncio.sleep(random.random() / 1000))
                assert take() == i
                with pytest.raises(RuntimeError):
                    asyncio.get_running_loop()

        async def coroutine() -> None:
            assert take() == i
            await asyncio.sleep(random.random() / 1000)
            assert asyncio.get_running_loop()
            assert take() == i
            bridge.await_(asyncio.sleep(0))
            assert take() == i
            # A task of its own: the thread's values, but bridged calls have the set.
            await asyncio.create_task(task())
            assert await bridge.run(take) == i

        async def task() -> None:
            assert take() == "thread's"
            assert await bridge.run(take) == i

        await bridge.run(work)
        await bridge.run(bridge.drive, coroutine())
        assert asyncio.get_running_loop()
        assert take() == "thread's"

    put("thread's")
    await asyncio.gather(*map(one, range(50)))
    assert take() == "thread's"


async def test_the_running_loop_is_found_beside_other_threads() -> None:
    """asyncio remembers the last thread that asked, and looks it up for others."""
    bridge.thread_locals.set(ThreadLocals())
    loop, stop = asyncio.get_running_loop(), threading.Event()

    def ask() -> None:
        async def main() -> None:
            for _ in range(10):
                asyncio.get_running_loop()
                await asyncio.sleep(0)

        while not stop.is_set():
            asyncio.run(main())

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()

    async def coroutine() -> None:
        for _ in range(300):
            assert asyncio.get_running_loop() is loop
            await asyncio.sleep(0)
            bridge.await_(asyncio.sleep(0))
            assert asyncio.get_running_loop() is loop
            await bridge.run(hidden)

    def hidden() -> None:
        bridge.await_(asyncio.sleep(0))
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()

    try:
        await bridge.run(bridge.drive, coroutine())
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert asyncio.get_running_loop() is loop


async def test_a_decorated_function_has_values_of_its_own() -> None:
    """As a consumer has that keeps its user for what it calls."""

    @new_connection()
    async def consumer(i: int) -> None:
        assert take() is None
        put(i)
        for _ in range(5):
            assert Tag.objects.count() == 0
            assert take() == i
            await Tag.objects.acount()
            await inner(i)
            assert await asyncio.create_task(of_its_own()) is None
            assert await run_sync(take) == i

    @new_connection()
    async def inner(i: int) -> None:
        await asyncio.sleep(0)
        assert take() == i

    @new_connection()
    async def of_its_own() -> Any:
        return take()

    put("thread's")
    await asyncio.gather(*map(consumer, range(20)))
    assert take() == "thread's"
    assert bridge.thread_locals.get() is None

    async with shared_connection():  # in a test: the test's

        @new_connection()
        async def under_test() -> Any:
            return take(), await run_sync(take)

        assert await under_test() == ("thread's", "thread's")


def in_a_thread(function: Any) -> Any:
    """Return what `function()` returns in a thread of asgiref's for this context."""
    return sync_to_async(function)()


async def test_a_waiting_thread_lends_its_values() -> None:
    """In stock the queries of what it waits for are made in that thread."""

    async def awaited(value: Any) -> Any:
        assert take() == "loop's"
        async with new_connection():
            found = await run_sync(take)
            await Tag.objects.acount()
            await run_sync(put, value)
        return found

    def middleware() -> list[Any]:
        put("thread's")
        found = [async_to_sync(awaited)("first"), take()]
        with pytest.raises(ZeroDivisionError):
            async_to_sync(fails)()
        return [*found, async_to_sync(awaited)("second"), take()]

    async def fails() -> None:
        await run_sync(lambda: 1 / 0)

    put("loop's")
    expected = ["thread's", "first", "first", "second"]
    assert await in_a_thread(middleware) == expected
    assert take() == "loop's"
    assert bridge.thread_locals.get() is None


async def test_a_waiting_thread_works_with_its_own_values() -> None:
    """What runs in it meanwhile and what is bridged take turns with them."""

    async def awaited(depth: int) -> None:
        async with new_connection():
            for number in range(20):
                await run_sync(put, number)
                assert await in_a_thread(take) == number
                await in_a_thread(lambda number=number: put(-number))
                assert await run_sync(take) == -number
                assert await in_a_thread(query_of_a_thread) == -number
            if depth:
                await in_a_thread(lambda: async_to_sync(awaited)(depth - 1))
                assert await run_sync(take) == -19

    def query_of_a_thread() -> Any:
        found: list[Any] = []

        def watch(execute: Any, *args: Any) -> Any:
            found.append(take())
            return execute(*args)

        with connection.execute_wrapper(watch):
            Tag.objects.count()
        assert found == [take()]
        return found[0]

    await in_a_thread(lambda: async_to_sync(awaited)(2))


async def test_lent_values_go_back_with_the_thread() -> None:
    """A task that outlives the thread's wait has them no more."""
    late: list[asyncio.Task[Any]] = []
    over = asyncio.Event()

    async def awaited() -> None:
        assert await bridge.run(take) == "thread's"
        late.append(asyncio.create_task(outlives()))

    async def outlives() -> Any:
        def work() -> list[Any]:
            found = [take()]
            bridge.await_(over.wait())
            return [*found, take()]

        return await bridge.run(work)

    def middleware() -> Any:
        put("thread's")
        async_to_sync(awaited)()
        return take()

    put("loop's")
    assert await in_a_thread(middleware) == "thread's"
    await asyncio.sleep(0)
    over.set()
    assert (await late[0])[-1] == "loop's"


async def test_lent_values_are_in_one_thread_at_a_time() -> None:
    """The thread works while bridged calls go on: those wait for nobody."""
    stop = threading.Event()

    async def awaited() -> None:
        busy = asyncio.ensure_future(in_a_thread(works))
        await bridge.run(steps)
        stop.set()
        await busy
        assert await bridge.run(take) == "thread's"

    def works() -> None:
        while not stop.is_set():
            assert take() == "thread's"

    def steps() -> None:
        for _ in range(200):
            assert take() in {"thread's", None}  # or the context's other set
            bridge.await_(asyncio.sleep(0.0001))

    def middleware() -> None:
        put("thread's")
        async_to_sync(awaited)()

    bridge.thread_locals.set(ThreadLocals())
    await in_a_thread(middleware)


async def test_two_threads_that_wait_lend_each_its_own() -> None:
    async def one(number: int) -> None:
        async with ThreadSensitiveContext():
            await in_a_thread(lambda: middleware(number))

    def middleware(number: int) -> None:
        put(number)
        async_to_sync(awaited)(number)
        assert take() == -number

    async def awaited(number: int) -> None:
        for _ in range(10):
            assert await bridge.run(steps) == number
        await bridge.run(put, -number)

    def steps() -> Any:
        found = take()
        bridge.await_(asyncio.sleep(0))
        assert take() == found
        return found

    await asyncio.gather(*map(one, range(1, 9)))


def test_a_synchronous_caller_lends_its_values_to_a_loop_of_its_own() -> None:
    """As a view of WSGI's that is `async def` has them."""

    async def view() -> Any:
        return await bridge.run(take)

    put("caller's")
    assert async_to_sync(view)() == "caller's"
    assert take() == "caller's"


async def test_a_function_on_the_loop_is_in_no_thread_of_the_block() -> None:
    """Whoever has asgiref run it there: the loop would wait for itself."""
    async with new_connection():
        block = blocks.current_block()
        assert block is not None
        in_thread = await run_sync(
            block_threads._call, block, None, block_threads.in_block_thread
        )
        assert not in_thread
        in_thread = await sync_to_async(block_threads._call)(
            block, None, block_threads.in_block_thread
        )
        assert in_thread
