"""What each verb of the command does alike: JSON, a pipe that is closed, and files that it can't work on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from aiomemdb.cli.app import app
from tests.cli.test_command import call, memory
from tests.cli.test_keys import private
from tests.support.others import turn_taken
from tests.support.warm import Warm

__all__ = ["memory"]


class Verb(NamedTuple):
    """
    Attributes:
        arguments: behind the file; ``{}`` is a folder.
        json: it takes --json.
        writes: it writes to the file.
        makes: it makes a file that is not there.
        of_memory: it opens a memory.
        input: what it reads from standard input.
    """

    arguments: tuple[str, ...] = ()
    json: bool = True
    writes: bool = False
    makes: bool = False
    of_memory: bool = True
    input: str | None = None


VERBS = {
    "backup": Verb(("{}/copy.db",), json=False, of_memory=False),
    "check": Verb(of_memory=False),
    "checkpoint": Verb(json=False, writes=True, of_memory=False),
    "counts": Verb(),
    "doctor": Verb(of_memory=False),
    "entities": Verb(),
    "episodes": Verb(),
    "export": Verb(),
    "facts": Verb(),
    "forget": Verb(("fact", "1", "--yes"), writes=True),
    "graph": Verb(("{}/page.html",), json=False),
    "history": Verb(("fact", "1")),
    "import": Verb(("{}/lines.jsonl",), writes=True, makes=True),
    "mcp": Verb(("--export", "-"), json=False, makes=True),
    "merge": Verb(("Ada Lovelace", "Ockham"), writes=True, makes=True),
    "move": Verb(("{}/moved.db",), of_memory=False),
    "optimize": Verb(json=False, writes=True, of_memory=False),
    "path": Verb(("Ada Lovelace", "Ockham")),
    "query": Verb(("SELECT 1 AS x",)),
    "recall": Verb(("Where does Ada live?",)),
    "remember": Verb(("a text",), writes=True, makes=True),
    "retract": Verb(("1",), writes=True, makes=True),
    "serve": Verb(json=False),
    "shell": Verb(input="SELECT 1 AS x;\n"),
    "stats": Verb(of_memory=False),
    "tail": Verb(("--after", "start", "--count", "1")),
    "vacuum": Verb(json=False, writes=True, of_memory=False),
}
ENDING = sorted(VERBS.keys() - {"serve"})


def command(verb: str, file: Path, folder: Path) -> list[str]:
    where = ["--file", str(file)] if verb == "mcp" else [str(file)]
    return [verb, *where, *(argument.format(folder) for argument in VERBS[verb].arguments)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    (made / "lines.jsonl").write_text('{"type":"entity","name":"Eve","entityType":"person","observations":["x"]}\n')
    return made


def test_the_table_has_every_verb() -> None:
    names = [each.name or "" for each in app.registered_commands]
    assert sorted(names) == sorted(VERBS)


@pytest.mark.parametrize("verb", [verb for verb in ENDING if VERBS[verb].json])
def test_json_parses(memory: Path, folder: Path, verb: str) -> None:
    result = call(*command(verb, memory, folder), "--json", input=VERBS[verb].input)
    assert result.exit_code == 0, result.output
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    assert (documents or verb == "check") and all(isinstance(each, dict) for each in documents)


@pytest.mark.parametrize("verb", [verb for verb in ENDING if VERBS[verb].json])
def test_an_error_is_json_too_and_says_whether_a_write_took_effect(tmp_path: Path, folder: Path, verb: str) -> None:
    path = tmp_path / "text.db"
    path.write_text("no database " * 100)
    result = call(*command(verb, path, folder), "--json")
    assert (result.exit_code, result.stdout) == (3, "")
    [told] = [json.loads(line) for line in result.stderr.splitlines() if line.startswith("{")]
    assert told.keys() == {"error", "message", "applied"} and not told["applied"]


@pytest.mark.parametrize("verb", sorted(verb for verb in VERBS if not VERBS[verb].makes and verb != "forget"))
def test_a_file_that_is_not_there_is_an_error_and_stays_away(tmp_path: Path, folder: Path, verb: str) -> None:
    path = tmp_path / "none.db"
    result = call(*command(verb, path, folder))
    assert result.exit_code == 3 and f"there is no file {path}" in result.stderr
    assert list(tmp_path.iterdir()) == [folder] and [each.name for each in folder.iterdir()] == ["lines.jsonl"]


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_file_that_is_no_database_is_an_error_that_names_it(tmp_path: Path, folder: Path, verb: str) -> None:
    path = tmp_path / "text.db"
    path.write_text("no database " * 100)
    result = call(*command(verb, path, folder))
    assert result.exit_code == 3 and str(path) in result.stderr and "Traceback" not in result.output
    assert "not a database" in result.stderr or "some other file" in result.stderr
    assert path.read_text() == "no database " * 100


@pytest.mark.parametrize("verb", [verb for verb in ENDING if VERBS[verb].of_memory])
def test_a_memory_of_a_private_normaliser_is_read_alone(tmp_path: Path, folder: Path, verb: str) -> None:
    path = tmp_path / "private.db"
    private(path, ("Ada Lovelace", "lives in", "Ockham"))
    result = call(*command(verb, path, folder), input=VERBS[verb].input)
    if VERBS[verb].writes:
        assert result.exit_code == 3 and "read-only here" in result.stderr and "my-own-1" in result.stderr
    else:
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize("verb", [verb for verb in ENDING if VERBS[verb].writes])
def test_a_file_that_another_process_keeps_is_an_error_within_the_time(memory: Path, folder: Path, verb: str) -> None:
    with turn_taken(memory):
        result = call(*command(verb, memory, folder), "--timeout", 0.5)
    assert result.exit_code == 3 and result.stderr.strip() and "Traceback" not in result.output, result.output


@pytest.mark.parametrize("verb", [verb for verb in ENDING if not VERBS[verb].writes])
def test_who_reads_waits_for_no_writer(memory: Path, folder: Path, verb: str) -> None:
    with turn_taken(memory):
        result = call(*command(verb, memory, folder), input=VERBS[verb].input)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("verb", ENDING)
def test_a_closed_pipe_is_silent(memory: Path, folder: Path, verb: str, warm: Warm) -> None:
    program = "from aiomemdb.cli.main import main; main()"
    ended = warm.run(program, *command(verb, memory, folder), input=VERBS[verb].input or "", closed_pipe=True)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr and "Broken pipe" not in ended.stderr
