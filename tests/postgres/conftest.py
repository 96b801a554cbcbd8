"""A server for all of these tests, and a database for each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

import aiomemdb
from aiomemdb.postgres.database import PostgresDatabase
from tests.support import postgres
from tests.support.postgres import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The tests' own server. With AIOMEMDB_TEST_POSTGRES there is none to stop: what needs that skips."""
    if postgres.RUNNING is not None:
        pytest.skip("it stops and starts a server, and AIOMEMDB_TEST_POSTGRES names one that is not ours")
    with Server.started("fsync=off") as server:
        yield server


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> str:
    """Of the database from which others are made."""
    if postgres.RUNNING is not None:
        return postgres.RUNNING
    server: Server = request.getfixturevalue("server")
    return server.url


@pytest.fixture(scope="session")
def _database_url(server_url: str) -> Iterator[str]:
    made = postgres.create(server_url)
    yield made
    postgres.drop(made)


@pytest.fixture
def url(_database_url: str) -> str:
    """Of a database that is empty, and this test's alone while it runs."""
    postgres.reset(_database_url)
    return _database_url


@pytest.fixture
async def db(url: str) -> AsyncIterator[PostgresDatabase]:
    """A database that is open, with a table."""
    postgres.execute(
        url,
        "CREATE TABLE item (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, name text UNIQUE, data bytea, "
        "size int CHECK (size >= 0))",
    )
    opened: PostgresDatabase
    async with aiomemdb.connect(url) as opened:  # type: ignore[assignment]
        yield opened
