"""The examples that stand on ``sqlite+aiomemdb``, where their packages are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frameworks.examples import run_example, run_guide


def test_64_requests_of_a_fastapi_service_lose_nothing(tmp_path: Path) -> None:
    for package in ("sqlmodel", "fastapi", "httpx"):
        pytest.importorskip(package)
    assert run_example("sqlmodel_fastapi", tmp_path / "shop.db") == "64 requests, sold: 64\n"


def test_alembic_upgrades_and_downgrades_a_file(tmp_path: Path) -> None:
    pytest.importorskip("alembic")
    printed = run_example("alembic_migration", tmp_path / "app.db")
    assert printed == "upgrade to head: note has id, body, at\ndowngrade to 1: note has id, body\n"


def test_the_fastapi_block_of_the_guide_serves(tmp_path: Path) -> None:
    for package in ("fastapi", "httpx", "pytest"):
        pytest.importorskip(package)
    after = """
        import httpx
        async with lifespan(app):
            await app.state.db.write("CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT)")
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
                print((await client.post("/notes", params={"body": "milk"})).json())
    """
    assert run_guide("guides/programs.md", tmp_path, after=after) == "1\n"
