"""The pytest plugin: an open database and an open memory for a test, each empty, closed at the test's end.

The plugin imports aiomemdb when a test first uses one of its fixtures. It stands beside the package for that reason:
what pytest imports at its start would be missed by coverage tools.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

try:
    from pytest_asyncio import fixture as _asyncio_fixture
except ImportError:
    _asyncio_fixture = pytest.fixture  # type: ignore[assignment]

if TYPE_CHECKING:
    from aiomemdb import Database, Memory

__all__ = ["aiomemdb_database", "aiomemdb_memory", "aiomemdb_target"]


@pytest.fixture
def aiomemdb_target(tmp_path: Path) -> Path | str:
    """Where the database of a test is: a new file in ``tmp_path``.

    Override this fixture in your ``conftest.py`` to test on another engine or file. Both other fixtures open what it
    returns, which is whatever ``aiomemdb.connect`` takes.
    """
    return tmp_path / "aiomemdb.db"


@pytest.fixture
def aiomemdb_database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An open database for one test, on that test's event loop. It is closed when the test ends.

    Raises:
        pytest.UsageError: the test is not asynchronous, or neither pytest-asyncio nor anyio runs it.
    """
    yield _opened(request, "database")


@pytest.fixture
def aiomemdb_memory(request: pytest.FixtureRequest) -> Iterator[Memory]:
    """An open memory for one test, on that test's event loop, in a file of its own as ``memory.db``.

    Used beside ``aiomemdb_database``, it is in the same file.

    Raises:
        pytest.UsageError: as with ``aiomemdb_database``.
    """
    yield _opened(request, "memory")


def _opened(request: pytest.FixtureRequest, what: str) -> Any:
    """What the fixture of the plugin that runs this test has opened."""
    config = request.config.pluginmanager
    if "anyio_backend" in request.fixturenames:
        return request.getfixturevalue(f"_aiomemdb_{what}_of_anyio")
    if config.hasplugin("asyncio") and request.node.get_closest_marker("asyncio"):
        return request.getfixturevalue(f"_aiomemdb_{what}_of_asyncio")
    raise pytest.UsageError(
        f"the fixture aiomemdb_{what} needs an asynchronous test: install pytest-asyncio and mark the test with "
        "@pytest.mark.asyncio (or set asyncio_mode = auto), or mark it with @pytest.mark.anyio"
    )


async def _database(aiomemdb_target: Path | str) -> AsyncIterator[Database]:
    import aiomemdb

    async with aiomemdb.connect(aiomemdb_target) as database:
        yield database


async def _memory(aiomemdb_target: Path | str) -> AsyncIterator[Memory]:
    import aiomemdb

    async with aiomemdb.Memory.open(aiomemdb_target) as memory:
        yield memory


# Each plugin runs the fixtures that are made for it, on the loop of its tests.
_aiomemdb_database_of_asyncio = _asyncio_fixture(_database, name="_aiomemdb_database_of_asyncio")
_aiomemdb_memory_of_asyncio = _asyncio_fixture(_memory, name="_aiomemdb_memory_of_asyncio")
_aiomemdb_database_of_anyio = pytest.fixture(_database, name="_aiomemdb_database_of_anyio")
_aiomemdb_memory_of_anyio = pytest.fixture(_memory, name="_aiomemdb_memory_of_anyio")
