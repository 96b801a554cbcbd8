"""What makes servers likely to do that speak PostgreSQL's protocol and are none: rules for the engine's own SQL."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import aiomemdb

ROOMS = sorted((Path(aiomemdb.__file__).parent / "postgres").glob("*.py"))

#: None of these is everywhere, or survives a pooler with another connection for each transaction.
FORBIDDEN = re.compile(
    r"advisory|create\s+extension|create\s+trigger|\blisten\b(?! on)|\bnotify\b|txid_|pg_xact|xact_id|plpgsql"
    "|with hold",
    re.IGNORECASE,
)


def texts(room: Path) -> list[str]:
    """The strings of a room that are no docstrings."""
    tree = ast.parse(room.read_text())
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, owners)}
    found = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [
        each.decode() if isinstance(each, bytes) else each
        for each in found
        if isinstance(each, str | bytes) and each not in docs
    ]


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.stem)
def test_the_engine_needs_nothing_that_only_postgresql_has(room: Path) -> None:
    sql = [text for text in texts(room) if " " in text]
    assert [text for text in sql if FORBIDDEN.search(text.replace("WITHOUT HOLD", ""))] == []
