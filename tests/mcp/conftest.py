"""Where the memories of these tests are: in a file, or with --on-postgres on a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def postgres_database() -> Iterator[str]:
    from tests.memory import on_postgres

    with on_postgres.database() as url:
        yield url


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A file that is not there yet, or the URL of a database without a memory's rows."""
    if not request.config.option.on_postgres:
        return tmp_path / "memory.db"
    from tests.memory import on_postgres

    return on_postgres.emptied(request.getfixturevalue("postgres_database"))
