"""Where a server's memory is, and what it takes along from the reference server's file."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from aiomemdb import FormatError, Memory
from aiomemdb.mcp.lines import exported, import_file, import_once
from aiomemdb.mcp.mirror import Mirror
from aiomemdb.mcp.nine import graph_of
from aiomemdb.mcp.places import Place, place

LINES = (
    '{"type":"entity","name":"Ada","entityType":"person","observations":["likes tea","schläft nie"]}\n'
    '{"type":"entity","name":"Ockham","entityType":"place","observations":[]}\n'
    '{"type":"relation","from":"Ada","to":"Ockham","relationType":"lives in"}\n'
    '{"type":"relation","from":"Ada","to":"London","relationType":"knows"}'
)


@pytest.mark.parametrize(
    ("file", "environ", "found"),
    [
        ("a.db", {"AIOMEMDB_URL": "b.db", "MEMORY_FILE_PATH": "c.json"}, Place("a.db")),
        (None, {"AIOMEMDB_URL": "b.db", "MEMORY_FILE_PATH": "c.json"}, Place("b.db")),
        (None, {"AIOMEMDB_URL": "postgresql://here/db"}, Place("postgresql://here/db")),
        (None, {"AIOMEMDB_URL": "", "MEMORY_FILE_PATH": "c.jsonl"}, Place("c.jsonl.db", Path("c.jsonl"))),
        (None, {"MEMORY_FILE_PATH": "/x/c.json"}, Place("/x/c.json.db", Path("/x/c.json"))),
        (None, {"MEMORY_FILE_PATH": "/x/c.db"}, Place("/x/c.db")),
        (None, {"XDG_DATA_HOME": "/data"}, Place("/data/aiomemdb/memory.db")),
    ],
    ids=str,
)
def test_the_first_that_is_named_counts(file: str | None, environ: dict[str, str], found: Place) -> None:
    assert place(file, environ) == found


def test_without_a_name_it_is_in_the_users_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setattr("sys.platform", "linux")
    for environ in ({}, {"XDG_DATA_HOME": "relative"}):
        assert place(None, environ).target == "/home/ada/.local/share/aiomemdb/memory.db"
    monkeypatch.setattr("sys.platform", "darwin")
    assert place(None, {}).target == "/home/ada/Library/Application Support/aiomemdb/memory.db"


@pytest.mark.parametrize(("file", "environ"), [("a.jsonl", {}), (None, {"AIOMEMDB_URL": "a.json"})])
def test_a_file_of_json_lines_is_no_database(file: str | None, environ: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="--import"):
        place(file, environ)


async def test_what_is_imported_is_exported_byte_for_byte(tmp_path: Path) -> None:
    (tmp_path / "memory.jsonl").write_text(LINES)
    async with Memory.open(tmp_path / "memory.db", normaliser="exact") as memory:
        await import_file(memory, tmp_path / "memory.jsonl")
        assert "".join(await exported(memory)) == LINES


async def test_a_file_is_imported_once_although_what_it_had_was_deleted(tmp_path: Path) -> None:
    lines = tmp_path / "memory.jsonl"
    lines.write_text(LINES)
    async with Memory.open(tmp_path / "memory.db") as memory:
        await import_once(memory, lines)
        await memory.forget_entities(["Ada"])
        await import_once(memory, lines)
        assert [entity["name"] for entity in graph_of(await memory.graph())["entities"]] == ["Ockham"]
        await import_file(memory, lines)
        assert len(graph_of(await memory.graph())["entities"]) == 2
    assert lines.read_text() == LINES


async def test_to_import_adds_to_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "memory.jsonl").write_text(LINES)
    async with Memory.open(tmp_path / "memory.db") as memory:
        await memory.add_fact("ADA", "observation", value="likes sums")
        await import_file(memory, tmp_path / "memory.jsonl")
        await import_file(memory, tmp_path / "memory.jsonl")
        [ada, _] = graph_of(await memory.graph(predicate="observation"))["entities"]
        assert ada["name"] == "ADA"
        assert ada["observations"] == ["likes sums", "likes tea", "schläft nie"]


@pytest.mark.parametrize("last", ['{"type":"entity"}', "{", "[]", '{"type":"relation","from":"a","to":1}'])
async def test_of_a_file_with_a_line_that_is_wrong_nothing_is_imported(tmp_path: Path, last: str) -> None:
    lines = tmp_path / "memory.jsonl"
    lines.write_text(f"{LINES}\n{last}")
    async with Memory.open(tmp_path / "memory.db") as memory:
        for import_it in (import_once, import_file):
            with pytest.raises(FormatError, match="line 5"):
                await import_it(memory, lines)
        assert (await memory.counts()).entities == 0
        lines.write_text(LINES)
        await import_once(memory, lines)  # it is not noted as imported
        assert (await memory.counts()).entities == 3


async def test_a_name_that_no_memory_holds_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blank = {"type": "entity", "name": " ", "entityType": "t", "observations": []}
    (tmp_path / "memory.jsonl").write_text(f"{json.dumps(blank)}\n{LINES}")
    async with Memory.open(tmp_path / "memory.db") as memory:
        await import_once(memory, tmp_path / "memory.jsonl")
        assert (await memory.counts()).entities == 3
    assert "is left out" in caplog.text


async def test_a_mirror_that_cannot_be_written_is_said_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Memory.open(tmp_path / "memory.db") as memory:
        await Mirror(tmp_path / "no folder" / "mirror.jsonl").refresh(memory)
    assert "was not written" in caplog.text


async def test_a_mirror_has_what_was_written_before_it_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "mirror.jsonl"
    mirror = Mirror(path)
    async with Memory.open(tmp_path / "memory.db") as memory:
        await mirror.refresh(memory)
        assert path.read_text() == ""
        await memory.add_entities(["Ada"])
        await mirror.refresh(memory)
    assert json.loads(path.read_text()) == {"type": "entity", "name": "Ada", "entityType": "", "observations": []}


async def test_two_mirrors_of_a_file_replace_it_one_after_the_other(tmp_path: Path) -> None:
    """Two servers: the state that the first one read is written before the second one reads."""
    path = tmp_path / "mirror.jsonl"
    async with Memory.open(tmp_path / "memory.db") as memory:
        first, second = Mirror(path), Mirror(path)
        async with first._alone():
            waiting = asyncio.create_task(second.refresh(memory))
            await asyncio.wait([waiting], timeout=0.05)
            assert not waiting.done() and not path.exists()
            await memory.add_entities(["Ada"])
        await waiting
    assert json.loads(path.read_text())["name"] == "Ada"
