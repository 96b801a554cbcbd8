"""The pytest plugin on a server, by the override of its guide: a database for each test, and none left over."""

from __future__ import annotations

import re

import pytest

from tests.support import postgres
from tests.test_pytest_plugin import GUIDE, run

USING = """
    import pytest
    {mark}
    @pytest.mark.parametrize("turn", [1, 2])
    async def test_a_database_is_new_and_on_the_server(aiomemdb_database, turn):
        assert type(aiomemdb_database).__name__ == "PostgresDatabase"
        await aiomemdb_database.write("CREATE TABLE note (body int)")
        assert await aiomemdb_database.write_count("INSERT INTO note VALUES ($1)", (turn,)) == 1

    {mark}
    async def test_a_memory_is_new_and_in_the_same_database(aiomemdb_memory, aiomemdb_database):
        assert (await aiomemdb_memory.find_or_create_entity("Ada")).id == 1
        names = "SELECT current_database()"
        assert await aiomemdb_memory.db.read_value(names) == await aiomemdb_database.read_value(names)
"""


def databases(url: str) -> list[str]:
    return [name for (name,) in postgres.execute(url, "SELECT datname FROM pg_database ORDER BY datname")]


@pytest.mark.parametrize(
    ("mark", "arguments"),
    [
        ("@pytest.mark.asyncio", ["-o", "asyncio_mode=strict", "-p", "no:anyio"]),
        ("@pytest.mark.anyio", ["-o", "asyncio_mode=strict"]),
    ],
    ids=["asyncio", "anyio"],
)
def test_a_test_has_a_database_of_its_own_and_none_is_left(
    url: str, pytester: pytest.Pytester, mark: str, arguments: list[str]
) -> None:
    [override] = re.findall(r"^```python\n(import uuid.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    server = url.rpartition("/")[0]
    assert "?" not in url, "the guide's block puts the name of a database at the end of the URL"
    backend = '\n@pytest.fixture\ndef anyio_backend():\n    return "asyncio"\n'
    pytester.makeconftest(override.replace("postgresql://localhost", server) + backend)
    pytester.makepyfile(USING.format(mark=mark))
    before = databases(url)
    run(pytester, *arguments).assert_outcomes(passed=3)
    assert databases(url) == before
