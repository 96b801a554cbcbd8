"""The pytest plugin, in runs of pytest of its own: whichever plugin runs the tests, each has a new database."""

from __future__ import annotations

import os
import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

GUIDE = (ROOT / "docs/guides/pytest.md").read_text()

USING = """
    import pytest
    {mark}
    @pytest.mark.parametrize("turn", [1, 2])
    async def test_a_database_is_new(aiomemdb_database, turn):
        await aiomemdb_database.write("CREATE TABLE note (body)")
        assert await aiomemdb_database.write("INSERT INTO note VALUES (?)", (turn,)) == 1

    {mark}
    async def test_a_memory_is_new_and_in_the_same_file(aiomemdb_memory, aiomemdb_database):
        assert (await aiomemdb_memory.find_or_create_entity("Ada")).id == 1
        assert await aiomemdb_database.read_value("SELECT count(*) FROM entity") == 1
"""


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """pytest in a process of its own, with this plugin; an unclosed database is an error."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    pytester._monkeypatch.setenv("PYTHONPATH", path)
    unclosed = ("-W", "error::ResourceWarning", "-W", "error::pytest.PytestUnraisableExceptionWarning")
    return pytester.runpytest_subprocess("-p", "pytest_aiomemdb", "-p", "no:aiomemdb", *unclosed, *arguments)


@pytest.mark.parametrize(
    ("mark", "arguments"),
    [
        ("@pytest.mark.asyncio", ["-o", "asyncio_mode=strict", "-p", "no:anyio"]),
        ("", ["-o", "asyncio_mode=auto", "-p", "no:anyio"]),
        ("@pytest.mark.anyio", ["-o", "asyncio_mode=strict"]),
    ],
    ids=["asyncio strict", "asyncio auto", "anyio beside asyncio"],
)
def test_a_test_has_a_database_and_a_memory_of_its_own(
    pytester: pytest.Pytester, mark: str, arguments: list[str]
) -> None:
    pytester.makeconftest('import pytest\n@pytest.fixture\ndef anyio_backend():\n    return "asyncio"\n')
    pytester.makepyfile(USING.format(mark=mark))
    run(pytester, *arguments).assert_outcomes(passed=3)


def test_the_blocks_of_its_guide_pass(pytester: pytest.Pytester) -> None:
    """The block for PostgreSQL is run by tests/postgres/test_pytest_plugin.py."""
    tests, _, fixture = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    using = """
        import pytest

        @pytest.mark.asyncio
        async def test_a_fixture_of_ones_own(notes):
            assert await notes.write("INSERT INTO note (body) VALUES ('milk')") == 1
    """
    pytester.makepyfile(test_guide=tests, test_own=fixture + textwrap.dedent(using))
    run(pytester, "-o", "asyncio_mode=strict").assert_outcomes(passed=3)


def test_nothing_is_imported_before_a_fixture_is_used_and_the_rest_is_said(pytester: pytest.Pytester) -> None:
    pytester.makeconftest('import pytest\n@pytest.fixture\ndef aiomemdb_target():\n    return ":memory:"\n')
    pytester.makepyfile(
        """
        import sys
        import pytest

        def test_nothing_is_imported_before():
            assert "pytest_aiomemdb" in sys.modules and "aiomemdb" not in sys.modules

        @pytest.mark.asyncio
        async def test_the_target_can_be_another(aiomemdb_database, tmp_path):
            assert await aiomemdb_database.read_value("SELECT 1") == 1 and not list(tmp_path.iterdir())

        def test_a_synchronous_test_gets_an_error(aiomemdb_memory): ...
        """
    )
    result = run(pytester, "-o", "asyncio_mode=strict")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*aiomemdb_memory needs an asynchronous test: install pytest-asyncio*"])
