"""The verb ``mcp``: what it does without serving, and what it refuses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from aiomemdb import Normaliser
from aiomemdb.blocking import Memory as BlockingMemory
from aiomemdb.cli.app import app
from tests.mcp.clients import Server

LINES = (
    '{"type":"entity","name":"Ada","entityType":"person","observations":["likes tea"]}\n'
    '{"type":"entity","name":"ADA","entityType":"person","observations":[]}\n'
    '{"type":"relation","from":"Ada","to":"London","relationType":"knows"}'
)


def mcp(*arguments: object, environ: dict[str, str] | None = None) -> Result:
    whole = {"AIOMEMDB_URL": "", "MEMORY_FILE_PATH": "", **(environ or {})}
    return CliRunner().invoke(app, ["mcp", *map(str, arguments)], env=whole)


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "memory.jsonl"
    path.write_text(LINES)
    return path


def test_a_file_is_imported_and_exported_without_a_client(tmp_path: Path, lines: Path) -> None:
    out = tmp_path / "out.jsonl"
    ended = mcp("--file", tmp_path / "m.db", "--names", "exact", "--import", lines, "--export", out)
    assert ended.exit_code == 0, ended.stderr
    assert out.read_text() == LINES
    again = mcp("--file", tmp_path / "m.db", "--export", "-")  # the file has recorded that its names are exact
    assert again.exit_code == 0 and again.stdout == LINES + "\n"


def test_names_are_folded_in_a_new_file(tmp_path: Path, lines: Path) -> None:
    ended = mcp("--file", tmp_path / "m.db", "--import", lines, "--export", "-")
    assert ended.stdout.count('"type":"entity"') == 1


def test_a_file_keeps_the_names_that_it_was_made_with(tmp_path: Path, lines: Path) -> None:
    assert mcp("--file", tmp_path / "m.db", "--import", lines, "--export", "-").exit_code == 0
    ended = mcp("--file", tmp_path / "m.db", "--names", "exact", "--export", "-")
    assert ended.exit_code == 3 and "exact" in ended.stderr and not ended.stdout


def test_a_file_of_the_reference_server_is_taken_over_and_left_alone(tmp_path: Path, lines: Path) -> None:
    ended = mcp("--export", "-", environ={"MEMORY_FILE_PATH": str(lines)})
    assert ended.exit_code == 0 and '"name":"Ada"' in ended.stdout
    assert lines.read_text() == LINES and (tmp_path / "memory.jsonl.db").exists()


def test_a_memory_that_is_only_read_must_be_there(tmp_path: Path) -> None:
    ended = mcp("--file", tmp_path / "m.db", "--read-only", "--export", "-")
    assert ended.exit_code == 3 and list(tmp_path.iterdir()) == []


def test_without_the_sdk_one_line_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    ended = mcp("--file", tmp_path / "m.db")
    assert ended.exit_code == 2 and "pip install 'aiomemdb[cli,mcp]'" in " ".join(ended.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_json_lines_is_refused_as_a_database(lines: Path) -> None:
    ended = mcp("--file", lines)
    assert ended.exit_code == 2 and "--import" in ended.stderr


def test_a_memory_of_a_private_normaliser_is_read_and_never_written(tmp_path: Path) -> None:
    path = tmp_path / "private.db"

    def add(subject: str) -> None:
        with BlockingMemory.open(path, normaliser=Normaliser("my-own-1", str.upper)) as memory:
            memory.add_fact(subject, "observation", value="likes tea")

    add("Ann")
    with Server("--file", path, "--tools", "full") as server:
        for name in ("Ann", "Eve"):  # whatever comes while it serves
            add(name)
            found = server.data("open_nodes", names=[name])
            assert found["entities"] == [{"name": name, "entityType": "", "observations": ["likes tea"]}]
        assert server.data("open_nodes", names=["ann"])["entities"] == []
        assert len(server.data("search_nodes", query="TEA")["entities"]) == 2
        for tool, asked in (
            ("create_entities", {"entities": [{"name": "Bob", "entityType": "", "observations": []}]}),
            ("delete_entities", {"entityNames": ["Ann"]}),
            ("remember", {"text": "Bob came."}),
        ):
            refused = server.call(tool, **asked)
            assert refused["isError"] and "read-only here" in refused["content"][0]["text"]
        assert len(server.data("read_graph")["entities"]) == 2
