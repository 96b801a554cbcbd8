"""The command opens a memory by the normalisers that its file has recorded."""

from __future__ import annotations

from pathlib import Path

from aiomemdb import Normaliser
from aiomemdb.blocking import Memory
from tests.cli.test_command import call, documents, ok


def test_an_exact_memory_stays_exact(tmp_path: Path) -> None:
    path = tmp_path / "exact.db"
    with Memory.open(path, normaliser="exact") as memory:
        memory.add_fact("Ann", "WORKS_AT", "Acme")
    ok("remember", path, "Again.", "--fact", "ann | works_at | Acme")
    assert [row["name"] for row in documents("entities", path)] == ["Ann", "Acme", "ann"]
    assert [row["predicate"] for row in documents("facts", path)] == ["WORKS_AT", "works_at"]
    assert [row["predicate"] for row in documents("facts", path, "--predicate", "WORKS_AT")] == ["WORKS_AT"]
    assert documents("facts", path, "--subject", "ANN") == []


def test_a_memory_of_a_private_normaliser_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "private.db"
    with Memory.open(path, normaliser=Normaliser("my-own-1", str.upper)) as memory:
        memory.add_fact("Ann", "works at", "Acme")
    before = path.read_bytes()
    for verb in (["entities", path], ["remember", path, "text"], ["forget", path, "entity", "Ann", "--yes"]):
        failed = call(*verb)
        assert failed.exit_code == 3
        assert "my-own-1" in failed.stderr
    assert path.read_bytes() == before
