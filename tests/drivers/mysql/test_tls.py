"""TLS, and passwords that are not sent as they are: as in stock Django."""

import asyncio
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from django.db import OperationalError, connections

from django_async_fast import async_connections, new_connection
from tests.support.other_databases import threads
from tests.support.sql import execute

from .conftest import PASSWORD, MysqlServer

pytestmark = pytest.mark.parametrize("server", ["mariadb", "mysql"], indirect=True)

CIPHER = "SHOW SESSION STATUS LIKE 'Ssl_cipher'"

Alias = Callable[..., str]


@pytest.fixture
def far(server: MysqlServer) -> Iterator[Alias]:
    """Give an alias that connects by TCP, with a user and options."""
    alias = "far"

    def configure(user: str, **options: Any) -> str:
        connections.settings[alias] = {
            **connections.settings["default"],
            "ENGINE": "django.db.backends.mysql",
            "NAME": "tests",
            "USER": user,
            "PASSWORD": PASSWORD,
            "HOST": "127.0.0.1",
            "PORT": str(server.port),
            "OPTIONS": {"charset": "utf8mb4", **options},
        }
        return alias

    yield configure
    del connections.settings[alias], connections[alias]


def in_stock(alias: str) -> Any:
    try:
        return bool(execute(CIPHER, using=alias)[0][1])
    except OperationalError as exc:
        return exc.args[0]
    finally:
        connections[alias].close()


async def in_a_block(alias: str) -> tuple[Any, int]:
    """Return whether the connection is encrypted, or the error; and the threads."""
    try:
        async with new_connection(alias), async_connections[alias].acursor() as cursor:
            await cursor.execute(CIPHER)
            return bool((await cursor.fetchall())[0][1]), len(threads())
    except OperationalError as exc:
        return exc.args[0], 0


OPTIONS: dict[str, Callable[[str], dict[str, Any]]] = {
    "none": lambda ca: {"ssl_mode": "DISABLED"},
    "required": lambda ca: {"ssl_mode": "REQUIRED"},
    "an authority": lambda ca: {"ssl": {"ca": ca}},
    "an authority, verified": lambda ca: {"ssl_mode": "VERIFY_CA", "ssl": {"ca": ca}},
    "a name": lambda ca: {"ssl_mode": "VERIFY_IDENTITY", "ssl": {"ca": ca}},
}


@pytest.mark.parametrize("user", ["near", "far"])
@pytest.mark.parametrize("options", OPTIONS)
def test_as_in_stock(server: MysqlServer, far: Alias, options: str, user: str) -> None:
    """On the loop; of these users one has to have TLS."""
    alias = far(user, **OPTIONS[options](server.authority))
    found, started = asyncio.run(in_a_block(alias))
    assert found == in_stock(alias)
    assert found == (options != "none" or (1045 if user == "far" else False))
    # Without TLS a password of MySQL's is encrypted by a package that may be missing.
    encrypts = server.kind == "mysql" and options == "none"
    if not encrypts or find_spec("cryptography"):
        assert not started


def test_an_authority_that_did_not_sign(
    server: MysqlServer, far: Alias, other_authority: str
) -> None:
    alias = far("far", ssl={"ca": other_authority})
    found, _ = asyncio.run(in_a_block(alias))
    assert type(found) is int
    assert type(in_stock(alias)) is int
