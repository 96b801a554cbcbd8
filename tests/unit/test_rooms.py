"""What import-linter does not say of the rooms (which imports which: the contracts in pyproject.toml, `make check`)."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import aiomemdb

ROOT = Path(aiomemdb.__file__).parent
ROOMS = {str(file.relative_to(ROOT)): file for file in sorted(ROOT.rglob("*.py"))}

AT_MOST = 400
AT_MOST_ANY = 40


def test_packages_hold_nothing_but_the_public_names() -> None:
    for file in ROOT.rglob("__init__.py"):
        statements = ast.parse(file.read_text()).body
        if file.parent in (ROOT, *(ROOT / name for name in ("aiosqlite", "blocking", "embedders", "telemetry"))):
            # The package itself imports its names when they are used.
            kinds: tuple[type[ast.stmt], ...] = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign, ast.If)
        elif file.parent.parent == ROOT / "integrations":
            kinds = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign, ast.Try)  # it says which extra is missing
        else:
            kinds = (ast.Expr,)
        assert all(isinstance(statement, kinds) for statement in statements), file


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_grows_into_a_hall(room: str) -> None:
    assert len(ROOMS[room].read_text().splitlines()) <= AT_MOST


@pytest.mark.parametrize("room", [room for room in ROOMS if room.startswith("memory/") and "/stores/" not in room])
def test_the_memory_speaks_of_no_engine_outside_its_stores(room: str) -> None:
    assert not re.search(r"sqlite|postgres|fts5", ROOMS[room].read_text(), re.IGNORECASE)


def test_few_lines_of_the_sqlite_engine_name_any_and_each_room_says_why() -> None:
    found = []
    for room in (room for room in ROOMS if room.startswith("sqlite/")):
        text = ROOMS[room].read_text()
        lines = {
            node.lineno
            for node in ast.walk(ast.parse(text))
            if (isinstance(node, ast.Name) and node.id == "Any")
            or (isinstance(node, ast.ImportFrom) and "Any" in [name.name for name in node.names])
        }
        found += [(room, line) for line in lines]
        if lines:
            assert re.search(r"^from typing import .*\bAny\b.*  # ", text, re.MULTILINE), room
    assert len(found) <= AT_MOST_ANY, found
