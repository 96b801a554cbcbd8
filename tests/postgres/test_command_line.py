"""The command line on a memory in PostgreSQL: the verbs of a memory work, those of SQLite files say so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from aiomemdb.cli.app import app
from tests.mcp.clients import URI, Server

#: Verbs of a memory, with the statuses that they end with on this one.
READING: dict[tuple[str, ...], int] = {
    ("entities",): 0,
    ("facts", "--subject", "Ada"): 0,
    ("episodes",): 0,
    ("recall", "Where does Ada live?"): 0,
    ("path", "Ada", "Ockham"): 0,
    ("history", "entity", "Ada"): 0,
    ("counts",): 0,
    ("tail", "--after", "start", "--count", "1"): 0,
    ("doctor",): 0,
}
SQLITE_ALONE: list[tuple[str, ...]] = [
    ("stats",),
    ("check",),
    ("backup", "copy.db"),
    ("checkpoint",),
    ("optimize",),
    ("vacuum",),
    ("query", "SELECT 1"),
    ("shell",),
]


def call(verb: str, target: object, *arguments: object) -> Any:
    return CliRunner().invoke(app, [verb, str(target), *map(str, arguments)])


def documents(verb: str, target: object, *arguments: object) -> list[dict[str, Any]]:
    result = call(verb, target, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def memory(url: str) -> str:
    documents("remember", url, "Ada lives in Ockham.", "--fact", "Ada | lives in | Ockham", "--agent", "me")
    return url


@pytest.mark.parametrize("verb", READING, ids=lambda verb: verb[0])
def test_verbs_that_look_answer_as_on_a_file(memory: str, verb: tuple[str, ...]) -> None:
    result = call(verb[0], memory, *verb[1:])
    assert result.exit_code == READING[verb], result.output
    assert all(isinstance(each, dict) for each in documents(verb[0], memory, *verb[1:]))


def test_verbs_that_write_answer_as_on_a_file(memory: str) -> None:
    documents("remember", memory, "Countess", "--mention", "Countess")
    [merged] = documents("merge", memory, "Ada", "Countess")
    assert merged["name"] == "Ada"
    [fact] = documents("facts", memory)
    [retracted] = documents("retract", memory, fact["id"], "--reason", "moved")
    assert retracted["expired_at"] and documents("facts", memory) == []
    [gone] = documents("forget", memory, "entity", "Ada", "--yes")
    assert gone["entities"] == 2 and [one["name"] for one in documents("entities", memory)] == ["Ockham"]


def test_a_memory_is_exported_and_imported_between_engines(memory: str, tmp_path: Path) -> None:
    documents("forget", memory, "entity", "Ockham", "--yes")
    documents("remember", memory, "Ben knows Ada.", "--fact", "Ben | knows | Ada", "--namespace", "mail")
    file, here, there = tmp_path / "a.db", tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    [counts] = documents("export", memory, here)
    assert counts == {"entities": 3, "episodes": 2, "facts": 1}
    documents("import", file, here)
    documents("export", file, there)
    assert there.read_bytes() == here.read_bytes()
    assert [each["new"] for each in documents("import", memory, there)] == [0]
    documents("export", memory, tmp_path / "pages", "--format", "markdown")
    assert {page.name for page in (tmp_path / "pages").glob("*.md")} == {"Ada.md", "Ada 2.md", "Ben.md"}


@pytest.mark.parametrize("verb", SQLITE_ALONE, ids=lambda verb: verb[0])
def test_what_is_of_sqlite_files_says_so_in_one_line(verb: tuple[str, ...]) -> None:
    result = call(verb[0], "postgresql://me:secret@127.0.0.1:1/db?password=secret", *verb[1:])
    assert (result.exit_code, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert "SQLite files alone" in line and "secret" not in line


def test_a_database_without_a_memory_stays_without(url: str) -> None:
    result = call("entities", url)
    assert result.exit_code == 2 and "aiomemdb remember" in result.stderr
    assert [each["says"] for each in documents("doctor", url) if each["what"] == "memory"] == ["none in this database"]


def test_a_server_that_is_not_there_is_an_error_within_the_time() -> None:
    for verb in ("entities", "counts", "doctor"):
        result = call(verb, "postgresql://me:secret@127.0.0.1:1/db", "--timeout", 5)
        assert result.exit_code == 3 and result.stderr.strip() and "secret" not in result.stderr, result.output
        assert "fault of aiomemdb" not in result.stderr


def test_a_page_needs_a_name(memory: str, tmp_path: Path) -> None:
    result = call("graph", memory)
    assert (result.exit_code, "name the page" in result.stderr) == (2, True)


def test_a_page_is_written_and_served_as_of_a_file(memory: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = call("graph", memory, page, "--around", "Ada")
    assert (result.exit_code, result.stdout.strip()) == (0, str(page)), result.output
    assert page.read_bytes().startswith(b"<!doctype html>")
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "aiomemdb", "serve", memory, "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as serving:
        assert serving.stdout is not None
        address = serving.stdout.readline().strip()
        shown = httpx2.get(address.replace("/?", "/picture?"), trust_env=False, timeout=60)
        serving.send_signal(signal.SIGINT)
        _, said = serving.communicate(timeout=60)
    assert (shown.status_code, serving.returncode) == (200, 130), said
    assert {entity[2] for entity in shown.json()["entities"]} == {"Ada", "Ockham"}
    assert "Traceback" not in said


def test_several_servers_of_the_protocol_share_a_memory(url: str, tmp_path: Path) -> None:
    lines = tmp_path / "memory.jsonl"
    lines.write_text('{"type":"entity","name":"Ada","entityType":"person","observations":["likes tea"]}')
    with Server("--file", url, "--import", lines) as one, Server(environ={"AIOMEMDB_URL": url}) as other:
        one.request("resources/subscribe", {"uri": URI})
        made = [{"name": f"n{n}", "entityType": "t", "observations": ["x"]} for n in range(20)]
        asked = [server.ask("tools/call", _create(made)) for server in (one, other)]
        new = [one.answer(asked[0]), other.answer(asked[1])]
        assert sum(len(each["result"]["structuredContent"]["entities"]) for each in new) == len(made)
        assert one.notification()["method"] == "notifications/resources/updated"
        assert one.data("search_nodes", query="TEA")["entities"][0]["name"] == "Ada"
        assert one.call("add_observations", observations=[{"entityName": "Eve", "contents": ["x"]}])["isError"]
    exported = CliRunner().invoke(app, ["mcp", "--file", url, "--export", "-"])
    assert exported.stdout.splitlines()[0] == lines.read_text() and len(exported.stdout.splitlines()) == 21


def _create(entities: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": "create_entities", "arguments": {"entities": entities}}
