"""F27: PgBouncer, in whose transaction mode a session is a transaction long.

Each that there is: the machine's, and one that follows prepared statements.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple
from unittest import mock

import psycopg
import pytest
from django.db import DatabaseError, connections, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from psycopg.conninfo import conninfo_to_dict

from django_async_fast import new_connection
from django_async_fast.drivers.psycopg.statement import SENDER
from tests.support import pgbouncer
from tests.support.configured import POOL_SIZE, configured, pool_is_whole, pool_options
from tests.support.every_await import HOWS, broken_off, run
from tests.testapp.models import Author, Tag, Unique

from .conftest import Watch
from .scenarios import nested
from .test_every_await import at_every_await

Case = Callable[[Watch], Coroutine[Any, Any, None]]

SERVERS = 3
ROWS = 20
# In session mode each client has a session.
CLIENTS = 4 * SERVERS


class Pooler(NamedTuple):
    """A PgBouncer, and how it is set up."""

    program: pgbouncer.Program | None
    mode: str = "transaction"
    prepared: int = 0

    def marks(self) -> list[pytest.MarkDecorator]:
        """Return what says why its tests are skipped, if they are."""
        if self.program is not None:
            return []
        reason = pgbouncer.NO_NEWER if pgbouncer.PROGRAM else pgbouncer.NO_PROGRAM
        return [pytest.mark.skip(reason=reason)]


PLAIN = Pooler(pgbouncer.PROGRAM)
NEWER = Pooler(pgbouncer.NEWER)
FOLLOWING = Pooler(pgbouncer.NEWER, prepared=100)
SESSIONS = Pooler(pgbouncer.PROGRAM, "session")
NEWER_SESSIONS = Pooler(pgbouncer.NEWER, "session", prepared=100)

Poolers = Callable[[Pooler], dict[str, Any]]


@pytest.fixture(scope="module")
def poolers(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Poolers]:
    """Return what starts a pooler, once, and says where it is."""

    def start(kind: Pooler) -> dict[str, Any]:
        if kind not in started:
            home = tmp_path_factory.mktemp("pgbouncer")
            servers = CLIENTS if kind.mode == "session" else SERVERS
            pooled = stack.enter_context(
                pgbouncer.pgbouncer(dsn, home, servers, **kind._asdict())
            )
            params = conninfo_to_dict(pooled)
            started[kind] = {"HOST": params["host"], "PORT": params["port"]}
        return started[kind]

    started: dict[Pooler, dict[str, Any]] = {}
    with ExitStack() as stack:
        yield start


async def on_every_server(query: str) -> list[Any]:
    """Return what `query` gives in each of the pooler's sessions."""

    async def ask() -> Any:
        async with (
            new_connection() as conn,
            transaction.atomic(),
            conn.acursor() as cursor,
        ):
            await cursor.execute(query)
            answer = await cursor.fetchone() if cursor.description else [None]
            await everybody.wait()
            return answer[0]

    everybody = asyncio.Barrier(SERVERS)
    return await asyncio.gather(*(ask() for _ in range(SERVERS)))


async def _fill() -> None:
    async with new_connection():
        await Author.objects.abulk_create(Author(name=str(i)) for i in range(ROWS))


async def _read(between: Callable[[], Coroutine[Any, Any, Any]]) -> int:
    rows = 0
    async for _ in Author.objects.aiterator(chunk_size=3):
        rows += 1
        if rows % 5 == 0:
            await between()
    return rows


def named(captured: CaptureQueriesContext) -> list[str]:
    return [q["sql"] for q in captured if "DECLARE" in q["sql"]]


# ----- with DISABLE_SERVER_SIDE_CURSORS, as Django asks for


async def streams(watch: Watch) -> None:
    """However many tasks read, and whatever they do between two rows."""

    async def read() -> int:
        async with new_connection():
            return await _read(Tag.objects.acount) + await _read(
                partial(asyncio.sleep, 0.05)
            )

    await _fill()
    tasks = [read() for _ in range(2 * SERVERS)]
    assert await asyncio.gather(*tasks) == [2 * ROWS] * len(tasks)
    async with new_connection() as conn:
        await conn.aensure_connection()
        with CaptureQueriesContext(conn) as captured:
            await _read(Tag.objects.acount)
            async with transaction.atomic():
                await _read(Tag.objects.acount)
        assert not named(captured)


async def nothing_is_left_in_a_session(watch: Watch) -> None:
    await _fill()
    async with new_connection():
        for _ in range(10):
            await Author.objects.afirst()
        await _read(Tag.objects.acount)
    for view in ("pg_prepared_statements", "pg_cursors"):
        assert not any(await on_every_server(f"SELECT count(*) FROM {view}"))


# ----- without


async def a_stream_in_a_transaction(watch: Watch) -> None:
    """It keeps its server, so a cursor of the server's does no harm."""
    await _fill()
    async with new_connection() as conn:
        await conn.aensure_connection()
        with CaptureQueriesContext(conn) as captured:
            async with transaction.atomic():
                assert await _read(Tag.objects.acount) == ROWS
        assert named(captured)
    assert not any(await on_every_server("SELECT count(*) FROM pg_cursors"))


async def a_stream_at_one_go(watch: Watch) -> None:
    """Its transaction lasts as long as nobody else needs the connection."""
    await _fill()
    async with new_connection():
        assert await _read(partial(asyncio.sleep, 0)) == ROWS
    assert not any(await on_every_server("SELECT count(*) FROM pg_cursors"))


async def a_stream_that_is_interrupted(watch: Watch) -> None:
    """Its cursor is on another server now: never fewer rows without an error."""
    await on_every_server("SELECT 1")  # the pooler takes them in turn from here
    await _fill()
    async with new_connection():
        with pytest.raises(DatabaseError, match="does not exist") as raised:
            await _read(Tag.objects.acount)
        notes = getattr(raised.value.__cause__, "__notes__", [])
        assert any("DISABLE_SERVER_SIDE_CURSORS" in note for note in notes)
        assert await Author.objects.acount() == ROWS


async def streams_of_many_tasks(watch: Watch) -> None:
    """F36: each gets its own query's rows, or an error."""

    async def read(group: int) -> None:
        mine = Author.objects.filter(name__startswith=f"{group}-").order_by("pk")
        with contextlib.suppress(DatabaseError):
            async with new_connection():
                async for author in mine.aiterator(chunk_size=3):
                    names[group].append(author.name)
                    if len(names[group]) % 5 == 0:
                        await Tag.objects.acount()

    groups = range(4 * SERVERS)
    rows = [f"{group}-{i:02}" for i in range(ROWS) for group in groups]
    async with new_connection():
        await Author.objects.abulk_create(Author(name=name) for name in rows)
    for _ in range(5):
        names: list[list[str]] = [[] for _ in groups]
        await asyncio.gather(*map(read, groups))
        for group, found in enumerate(names):
            assert found == [f"{group}-{i:02}" for i in range(len(found))]
    await on_every_server("CLOSE ALL")


async def statements_prepared_by_many_tasks(watch: Watch) -> None:
    """Each gets its own query's answer, or an error."""
    answers, _ = await _prepared_by_many_tasks()
    await on_every_server("DEALLOCATE ALL")
    assert [each for each in answers if each[1] != (each[0],) * 2] == []


async def _prepared_by_many_tasks() -> tuple[list[tuple[int, Any]], list[Any]]:
    async def ask(number: int) -> None:
        try:
            async with new_connection() as conn, conn.acursor() as cursor:
                for _ in range(20):
                    await cursor.execute(f"SELECT {number}, %s::int", [number])
                    answers.append((number, await cursor.fetchone()))
        except DatabaseError as error:
            errors.append(error)

    answers: list[tuple[int, Any]] = []
    errors: list[Any] = []
    options = {"prepare_threshold": 0, "server_side_binding": True}
    with configured(**_place(), OPTIONS=options):
        await asyncio.gather(*(ask(number) for number in range(4 * SERVERS)))
    return answers, errors


def _place() -> dict[str, Any]:
    settings = connections.settings["default"]
    return {name: settings[name] for name in ("HOST", "PORT")}


# ----- by one that follows prepared statements


async def prepared_statements_are_followed(watch: Watch) -> None:
    answers, errors = await _prepared_by_many_tasks()
    assert errors == []
    assert len(answers) == 20 * 4 * SERVERS
    assert [each for each in answers if each[1] != (each[0],) * 2] == []


async def known_statements_are_prepared(watch: Watch) -> None:
    """In whichever session the next one is run, and as the server's own."""

    async def read(number: int) -> None:
        async with new_connection():
            for _ in range(10):
                found = await Author.objects.aget(name=str(number))
                assert found.name == str(number)
                assert await Author.objects.filter(pk__lte=found.pk).aexists()
                async with transaction.atomic():
                    await Author.objects.aget(name=str(number))

    await _fill()
    with configured(**_place(), OPTIONS={"prepare_threshold": 1}):
        await asyncio.gather(*map(read, range(4 * SERVERS)))
    if SENDER:
        prepared = (
            "SELECT count(*) FROM pg_prepared_statements"
            " WHERE statement LIKE '%testapp_author%LIMIT 21'"
        )
        assert all(await on_every_server(prepared))


# ----- in session mode, where nothing is different


async def a_session_is_ones_own(watch: Watch) -> None:
    async def use(number: int) -> None:
        own = [str(number)]
        async with new_connection() as conn, conn.acursor() as cursor:
            await cursor.execute("SELECT pg_advisory_lock_shared(7)")
            await cursor.execute("SELECT set_config('daf.own', %s, false)", own)
            await cursor.execute("CREATE TEMPORARY TABLE daf_own (a int)")
            await everybody.wait()
            for _ in range(3):
                await cursor.execute("SELECT current_setting('daf.own')")
                assert await cursor.fetchone() == (str(number),)
                await cursor.execute("INSERT INTO daf_own VALUES (%s)", [number])
            await cursor.execute("SELECT pg_advisory_unlock_shared(7)")
            assert await cursor.fetchone() == (True,)
            await cursor.execute("SELECT DISTINCT a FROM daf_own")
            assert await cursor.fetchall() == [(number,)]
            await cursor.execute("DROP TABLE daf_own")

    everybody = asyncio.Barrier(SERVERS)
    await asyncio.gather(*map(use, range(SERVERS)))


async def streams_may_be_interrupted(watch: Watch) -> None:
    await _fill()
    async with new_connection():
        assert await _read(Tag.objects.acount) == ROWS


async def notifications_come(watch: Watch) -> None:
    async with (
        new_connection() as conn,
        conn.acursor() as cursor,
        conn.anotifies("daf_own", timeout=10) as notes,
    ):
        await cursor.execute("NOTIFY daf_own, 'here'")
        assert (await anext(aiter(notes))).payload == "here"


async def prepared_statements_stay(watch: Watch) -> None:
    answers, errors = await _prepared_by_many_tasks()
    assert errors == []
    assert [each for each in answers if each[1] != (each[0],) * 2] == []


# ----- either way


async def transactions(watch: Watch) -> None:
    async def increment() -> None:
        async with new_connection(), transaction.atomic():
            one = await Unique.objects.select_for_update().aget(key="counter")
            await Unique.objects.filter(pk=one.pk).aupdate(value=F("value") + 1)

    async with new_connection():
        await Unique.objects.acreate(key="counter")
    await asyncio.gather(*(increment() for _ in range(4 * SERVERS)))
    assert watch.value("SELECT value FROM testapp_unique") == 4 * SERVERS


async def a_cancelled_statement(watch: Watch) -> None:
    async with new_connection() as conn, conn.acursor() as cursor:
        for timeout in (0.2, 0.3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(timeout):
                    await cursor.execute("SELECT pg_sleep(30)")
            assert not watch.working()
            await cursor.execute("SELECT 1")
        assert not conn.connection_lost()


async def the_sessions_time_zone(watch: Watch) -> None:
    """PgBouncer takes along what the server reports, and that alone."""
    params = connections["default"].get_connection_params()
    with ExitStack() as others:
        for _ in range(SERVERS):  # their sessions are ours next
            others.enter_context(psycopg.connect(**params)).execute("SELECT 1")
    zones: Counter[str] = Counter()
    with mock.patch.dict(connections.settings["default"], TIME_ZONE="Asia/Tokyo"):
        async with new_connection() as conn, conn.acursor() as cursor:
            for _ in range(2 * SERVERS):
                await cursor.execute("SHOW timezone")
                zones.update(await cursor.fetchone())
    assert zones == {"Asia/Tokyo": 2 * SERVERS}


async def set_in_a_transaction(watch: Watch) -> None:
    show = "SELECT current_setting('statement_timeout')"
    async with new_connection() as conn, transaction.atomic(), conn.acursor() as cursor:
        await cursor.execute("SET LOCAL statement_timeout = '1min'")
        await cursor.execute(show)
        assert await cursor.fetchone() == ("1min",)
    assert await on_every_server(show) == ["0"] * SERVERS


async def reads_of_several_tasks(watch: Watch) -> None:
    """They go as one pipeline, each of them a transaction of its own."""

    async def read(number: int) -> str:
        return (await Author.objects.aget(name=str(number))).name

    async def read_all() -> None:
        async with new_connection():
            for _ in range(5):
                found = await asyncio.gather(*map(read, range(ROWS)))
                assert found == [str(number) for number in range(ROWS)]

    await _fill()
    await asyncio.gather(*(read_all() for _ in range(2 * SERVERS)))


DISABLED = (streams, nothing_is_left_in_a_session)
ENABLED = (
    a_stream_in_a_transaction,
    a_stream_at_one_go,
    a_stream_that_is_interrupted,
    streams_of_many_tasks,
    statements_prepared_by_many_tasks,
)
EITHER = (
    reads_of_several_tasks,
    transactions,
    a_cancelled_statement,
    the_sessions_time_zone,
    set_in_a_transaction,
)
BY_FOLLOWING = (prepared_statements_are_followed, known_statements_are_prepared)
IN_SESSIONS = (
    a_session_is_ones_own,
    a_stream_in_a_transaction,
    streams_may_be_interrupted,
    notifications_come,
    prepared_statements_stay,
    transactions,
    a_cancelled_statement,
)


def _cases() -> Iterator[Any]:
    for case in DISABLED + EITHER:
        yield _case("", PLAIN, case, True)
    for case in ENABLED + EITHER:
        yield _case("", PLAIN, case, False)
    if PLAIN != NEWER:
        for case in DISABLED:
            yield _case("newer-", NEWER, case, True)
        for case in ENABLED:
            yield _case("newer-", NEWER, case, False)
    # What it has prepared it keeps, and `DEALLOCATE` is its own business.
    for case in (streams, *EITHER, *BY_FOLLOWING):
        yield _case("following-", FOLLOWING, case, True)
    for case in IN_SESSIONS:
        yield _case("sessions-", SESSIONS, case, False)
        if PLAIN != NEWER:
            yield _case("newer-sessions-", NEWER_SESSIONS, case, False)


def _case(name: str, pooler: Pooler, case: Case, disabled: bool) -> Any:
    how = "disabled" if disabled else "enabled"
    return pytest.param(
        *(pooler, case, disabled),
        id=f"{name}{case.__name__}-{how}",
        marks=pooler.marks(),
    )


@pytest.mark.parametrize("pool", [None, POOL_SIZE], ids=["direct", "pooled"])
@pytest.mark.parametrize(("kind", "case", "disabled"), list(_cases()))
def test_f27_behind_a_pooler(
    kind: Pooler,
    case: Case,
    disabled: bool,
    pool: int | None,
    watch: Watch,
    poolers: Poolers,
    pytestconfig: pytest.Config,
) -> None:
    async def main() -> None:
        await case(watch)
        await watch.idle()

    options = {} if pool is None else pool_options(max_size=CLIENTS)
    where = poolers(kind)
    with configured(**where, OPTIONS=options, DISABLE_SERVER_SIDE_CURSORS=disabled):
        run(pytestconfig.option.loop, main())


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(PLAIN, id="plain", marks=PLAIN.marks()),
        pytest.param(FOLLOWING, id="following", marks=FOLLOWING.marks()),
    ],
)
def test_f27_broken_off_at_every_await(
    watch: Watch, kind: Pooler, poolers: Poolers, how: str
) -> None:
    break_off = partial(broken_off, how=how)
    options = pool_options(max_size=POOL_SIZE)
    if kind.prepared:
        options["prepare_threshold"] = 0
    with configured(**poolers(kind), OPTIONS=options):
        run("asyncio", at_every_await(watch, nested, break_off, pool_is_whole))
