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


def private(path: Path, *facts: tuple[str, str, str]) -> None:
    upper = Normaliser("my-own-1", str.upper)
    with Memory.open(path, normaliser=upper, predicate_normaliser=Normaliser("my-own-2", str.upper)) as memory:
        for fact in facts:
            memory.add_fact(*fact)


def test_a_memory_of_a_private_normaliser_is_read_by_its_names_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "private.db"
    private(path, ("Ann", "works at", "Acme"), ("Acme", "is in", "Rome"))
    before = path.read_bytes()
    assert [row["name"] for row in documents("entities", path)] == ["Ann", "Acme", "Rome"]
    for asked in (["--subject", "Ann"], ["--predicate", "works at"], ["--object", "Acme"], ["--subject", "ANN"]):
        assert [row["text"] for row in documents("facts", path, *asked)] == ["Ann works at Acme"]
    assert documents("facts", path, "--subject", "ann") == []
    assert len(documents("path", path, "Ann", "Rome")) == 2 and documents("history", path, "entity", "Ann")
    assert documents("recall", path, "Where does Ann work?")[0]["text"].startswith("Ann works at Acme")
    assert path.read_bytes() == before


def test_a_memory_of_a_private_normaliser_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "private.db"
    private(path, ("Ann", "works at", "Acme"))
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"type":"entity","name":"Eve","entityType":"person","observations":[]}')
    before = path.read_bytes()
    for verb in (
        ["remember", path, "text"],
        ["merge", path, "Ann", "Acme"],
        ["retract", path, 1],
        ["forget", path, "entity", "Ann", "--yes"],
        ["import", path, lines],
        ["mcp", "--file", path, "--import", lines],
    ):
        failed = call(*verb)
        assert failed.exit_code == 3, verb
        assert "read-only here" in failed.stderr and "my-own-1" in failed.stderr
    assert path.read_bytes() == before
