"""The command ``aiomemdb``: what it prints, where, and with which exit status it ends."""

from __future__ import annotations

import functools
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import httpx2
import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from aiomemdb.cli.app import app
from aiomemdb.memory.stores.sqlite.migrating import newest_version
from tests.support.others import turn_taken

# Built once: each call would build all verbs anew, which takes longer than what most of them do.
COMMAND = get_command(app)

ADA = ("Ada Lovelace | lives in | Ockham", "Ada Lovelace | born = 1815")


def call(*arguments: object, input: bytes | str | None = None) -> Result:
    with mock.patch("typer.testing._get_command", lambda _: COMMAND):
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=input)


def ok(*arguments: object, input: bytes | str | None = None) -> str:
    result = call(*arguments, input=input)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def documents(*arguments: object) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ok(*arguments, "--json").splitlines()]


@functools.cache
def made_once() -> bytes:
    """The file of a memory, closed: tests copy it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "memory.db")
        facts = [part for fact in ADA for part in ("--fact", fact)]
        ok("remember", path, "Ada moved to Ockham.", *facts, "--key", "mail 1", "--agent", "mail", "--session", "s")
        assert not Path(f"{path}-wal").exists()
        return path.read_bytes()


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    path = tmp_path / "memory.db"
    path.write_bytes(made_once())
    return path


# -- a memory ------------------------------------------------------------------------------------------------


def test_what_is_remembered_is_listed(memory: Path) -> None:
    assert [entity["name"] for entity in documents("entities", memory)] == ["Ada Lovelace", "Ockham"]
    assert [fact["text"] for fact in documents("facts", memory)] == [
        "Ada Lovelace lives in Ockham",
        "Ada Lovelace born 1815",
    ]
    assert [fact["value"] for fact in documents("facts", memory, "--predicate", "born")] == ["1815"]
    [episode] = documents("episodes", memory, "--session", "s")
    assert (episode["content"], episode["key"], episode["agent"]) == ("Ada moved to Ockham.", "mail 1", "mail")
    [counts] = documents("counts", memory)
    assert (counts["entities"], counts["facts"], counts["episodes"]) == (2, 2, 1)


def test_a_pipe_gets_tabs(memory: Path) -> None:
    assert ok("entities", memory).splitlines()[0].split("\t")[:2] == ["1", "Ada Lovelace"]


def test_a_text_may_come_from_standard_input_and_keeps_its_key(memory: Path) -> None:
    again = ok("remember", memory, "-", "--key", "mail 1", "--json", input="Ada moved to Ockham.")
    assert json.loads(again)["created"] is False
    result = call("remember", memory, "-", "--key", "mail 1", input="Another text")
    assert result.exit_code == 2 and "mail 1" in result.stderr


@pytest.mark.parametrize("fact", ["Ada", "Ada | lives in", "Ada | = 3", "| lives in | Ockham", "a | b | c | d"])
def test_a_fact_that_is_none_is_refused_and_nothing_is_written(tmp_path: Path, fact: str) -> None:
    result = call("remember", tmp_path / "new.db", "text", "--fact", fact)
    assert result.exit_code == 2 and "subject | predicate | object" in " ".join(result.stderr.replace("│", "").split())
    assert list(tmp_path.iterdir()) == []


def test_a_listing_stops_at_its_limit_or_goes_on_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "many.db"
    ok("remember", path, "many", *[part for number in range(620) for part in ("--mention", f"name {number}")])
    assert len(documents("entities", path)) == 100
    assert len(documents("entities", path, "--limit", 510)) == 510
    assert len(documents("entities", path, "--all")) == 620


def test_recall_answers_with_scores_or_with_a_prompt(memory: Path) -> None:
    hits = documents("recall", memory, "Where does Ada live?")
    assert {hit["kind"] for hit in hits} == {"fact", "episode"} and "Ockham" in hits[0]["text"]
    assert "Ockham" in ok("recall", memory, "Where does Ada live?", "--budget", 100)
    assert call("recall", memory, "zebra").exit_code == 0
    assert call("recall", memory, "zebra", "--fail-empty").exit_code == 1
    unsure = ("recall", memory, "Which ferry of Ostend did Ada take?", "--fail-empty")
    assert [call(*unsure, "--min-score", least).exit_code for least in (0, 0.4)] == [0, 1]


def test_a_path_is_found_or_its_absence_is_the_exit_status(memory: Path) -> None:
    assert [fact["id"] for fact in documents("path", memory, "Ockham", "#1")] == [1]
    ok("remember", memory, "alone", "--mention", "Babbage")
    assert call("path", memory, "Ockham", "Babbage").exit_code == 1


def test_facts_are_retracted_entities_merged_and_each_has_its_history(memory: Path) -> None:
    ok("retract", memory, 1, "--reason", "moved", "--agent", "me")
    assert [fact["id"] for fact in documents("facts", memory)] == [2]
    events = documents("history", memory, "fact", 1)
    assert [(event["operation"], event["reason"], event["agent"]) for event in events][1:] == [
        ("retract", "moved", "me")
    ]
    ok("remember", memory, "Countess", "--mention", "Countess Lovelace")
    ok("merge", memory, "Ada Lovelace", "Countess Lovelace")
    assert [entity["name"] for entity in documents("entities", memory)] == ["Ada Lovelace", "Ockham"]


def test_what_deletes_for_good_asks_first(memory: Path) -> None:
    result = call("forget", memory, "fact", 1)
    assert result.exit_code == 2 and "--yes" in result.stderr
    assert len(documents("facts", memory)) == 2
    [gone] = documents("forget", memory, "fact", "#1", "--yes")
    assert gone["facts"] == 1
    assert [fact["id"] for fact in documents("facts", memory)] == [2]


def test_namespaces_are_apart_and_can_be_read_together(memory: Path) -> None:
    ok("remember", memory, "team", "--mention", "Team Mate", "--namespace", "team")
    assert [entity["name"] for entity in documents("entities", memory, "--namespace", "team")] == ["Team Mate"]
    assert len(documents("entities", memory, "--also-read", "team")) == 3


def test_a_time_says_what_was_believed_then(memory: Path) -> None:
    assert documents("facts", memory, "--known-at", "2020-01-01") == []
    assert len(documents("facts", memory, "--as-of", "2020-01-01T12:00+01:00")) == 2
    assert call("facts", memory, "--as-of", "yesterday").exit_code == 2


def test_a_page_of_a_memory_is_written_and_replaced_by_wish_alone(memory: Path, tmp_path: Path) -> None:
    page = tmp_path / "memory.html"
    assert ok("graph", memory).splitlines() == [str(page)]
    assert page.read_bytes().startswith(b"<!doctype html>")
    again = call("graph", memory)
    assert (again.exit_code, "--overwrite" in again.stderr) == (3, True)
    ok("graph", memory, "--overwrite", "--around", "Ockham", "--limit", "9")
    ok("graph", memory, tmp_path / "other.html")
    unknown = call("graph", memory, "--overwrite", "--around", "Ockam")
    assert (unknown.exit_code, "'Ockham'" in unknown.stderr) == (2, True)


# -- any file ------------------------------------------------------------------------------------------------


def test_the_figures_of_a_file_are_its_own(memory: Path) -> None:
    [figures] = documents("stats", memory)
    assert figures["file_bytes"] == memory.stat().st_size
    assert figures["rows"]["entity"] == 2 and figures["rows"]["episode"] == 1


def test_a_copy_is_whole_and_never_goes_over_a_file(memory: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    ok("backup", memory, target)
    assert [entity["name"] for entity in documents("entities", target)] == ["Ada Lovelace", "Ockham"]
    before = target.read_bytes()
    assert call("backup", memory, target).exit_code == 3
    assert target.read_bytes() == before


@pytest.mark.parametrize("verb", ["checkpoint", "optimize", "vacuum"])
def test_upkeep_leaves_what_is_there(memory: Path, verb: str) -> None:
    assert ok(verb, memory) == ""
    assert len(documents("facts", memory)) == 2


def test_a_checkpoint_that_a_reader_hinders_says_so(memory: Path) -> None:
    with closing(sqlite3.connect(memory, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM entity").fetchone()
        ok("remember", memory, "later")
        result = call("checkpoint", memory)
    assert result.exit_code == 1 and "reader" in result.stderr


def test_a_broken_foreign_key_is_found(tmp_path: Path) -> None:
    path = tmp_path / "broken.db"
    with closing(sqlite3.connect(path)) as plain:
        plain.executescript(
            "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a REFERENCES a); INSERT INTO b VALUES (7)"
        )
    assert call("check", path).exit_code == 1
    result = call("check", path, "--json")
    assert json.loads(result.stdout)["kind"] == "foreign key"


def test_a_sound_file_has_nothing_to_find(memory: Path) -> None:
    assert ok("check", memory) == ""


# -- doctor --------------------------------------------------------------------------------------------------


def test_the_doctor_looks_at_python_alone_or_at_a_file_too(memory: Path) -> None:
    assert {finding["what"] for finding in documents("doctor")} >= {"Python", "SQLite", "FTS5", "aiosqlite"}
    found = {finding["what"]: finding for finding in documents("doctor", memory)}
    assert found["memory"]["says"] == f"schema {newest_version()}" and found["damage"]["state"] == "ok"
    assert "problem" not in {finding["state"] for finding in found.values()}


def problems(path: Path) -> dict[str, dict[str, Any]]:
    result = call("doctor", path, "--json")
    assert result.exit_code == 1, result.output
    found = [json.loads(line) for line in result.stdout.splitlines()]
    return {finding["what"]: finding for finding in found if finding["state"] == "problem"}


def test_the_doctor_sees_a_log_that_a_reader_keeps(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiomemdb.cli import doctor

    monkeypatch.setattr(doctor, "_LARGE_LOG", -1)
    assert "checkpoint" in problems(memory)["log"]["advice"]


def test_the_doctor_sees_a_memory_of_a_later_version(memory: Path) -> None:
    with closing(sqlite3.connect(memory)) as plain, plain:
        plain.execute("INSERT INTO memory_migration VALUES (99, 'later', 0)")
    assert problems(memory)["memory"]["advice"] == "update aiomemdb"


def test_the_doctor_sees_damage(memory: Path) -> None:
    size = memory.stat().st_size
    with open(memory, "r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * 8192)
    result = call("doctor", memory, "--json")
    assert result.exit_code in (1, 3)  # where the schema itself is hit, the file can't be asked


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="only Linux shows which process has a file open")
def test_the_doctor_names_a_process_that_takes_no_turns(memory: Path) -> None:
    with closing(sqlite3.connect(memory)) as plain:
        plain.execute("SELECT count(*) FROM entity").fetchone()
        result = call("doctor", memory, "--json")
    [other] = [each for line in result.stdout.splitlines() if (each := json.loads(line))["what"] == "other programs"]
    assert str(os.getpid()) in other["says"]


# -- what can go wrong ---------------------------------------------------------------------------------------


def test_a_database_without_a_memory_says_how_to_begin_one(tmp_path: Path) -> None:
    path = tmp_path / "plain.db"
    with closing(sqlite3.connect(path)) as plain:
        plain.execute("CREATE TABLE t (x)")
    result = call("entities", path)
    assert result.exit_code == 2 and "aiomemdb remember" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("path", "Ockham", "Nobody"),
        ("history", "fact", 99),
        ("history", "fact", "x"),
        ("retract", 99),
        ("merge", "a", "b"),
    ],
)
def test_what_is_not_there_is_wrong_usage_and_says_so(memory: Path, arguments: tuple[object, ...]) -> None:
    result = call(arguments[0], memory, *arguments[1:])
    assert result.exit_code == 2 and result.stderr.strip() and "Traceback" not in result.output


def test_an_error_as_json_says_whether_the_write_took_effect(memory: Path) -> None:
    with turn_taken(memory):
        result = call("remember", memory, "text", "--timeout", 4, "--json")
    assert result.exit_code == 3
    told = json.loads(result.stderr.splitlines()[-1])
    assert (told["error"], told["applied"]) == ("LockTimeout", False)


def test_a_read_waits_for_no_writer(memory: Path) -> None:
    with turn_taken(memory):
        assert len(documents("facts", memory)) == 2


# -- as a process --------------------------------------------------------------------------------------------


def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "aiomemdb", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def test_a_closed_pipe_is_silent(memory: Path, processes: list[subprocess.Popen[str]]) -> None:
    ok(
        "remember",
        memory,
        "many",
        *[part for number in range(3000) for part in ("--mention", f"{'name ' * 90}{number}")],
    )
    process = start("entities", memory, "--all", "--json")
    processes.append(process)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == ""


def test_ctrl_c_ends_it_with_130_and_no_word(memory: Path, processes: list[subprocess.Popen[str]]) -> None:
    process = start("stats", memory, "--watch", "--json", "--every", 0.1)
    processes.append(process)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert process.stderr.read() == ""


def test_without_its_packages_it_is_one_line(tmp_path: Path) -> None:
    text = (
        "import sys; sys.modules['typer'] = None; sys.argv = ['aiomemdb']; from aiomemdb.cli.main import main; main()"
    )
    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "the command aiomemdb needs more packages: pip install 'aiomemdb[cli]'\n"


def test_a_traceback_comes_with_debug_alone(memory: Path) -> None:
    result = call("--debug", "path", memory, "Ockham", "Nobody")
    assert result.exception is not None and "Nobody" in str(result.exception)


def test_the_version_is_told() -> None:
    assert "aiomemdb 0.1" in ok("--version")


def test_serve_prints_an_address_that_answers_until_ctrl_c(memory: Path) -> None:
    command = [sys.executable, "-m", "aiomemdb", "serve", str(memory), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        address = serving.stdout.readline().strip()
        page = httpx2.get(address, trust_env=False, timeout=60)
        refused = httpx2.get(address.partition("?")[0], trust_env=False, timeout=60)
        serving.send_signal(signal.SIGINT)
        _, said = serving.communicate(timeout=60)
    assert (page.status_code, refused.status_code, serving.returncode) == (200, 403, 130), said
    assert "Traceback" not in said


def test_serve_says_that_a_port_is_in_use(memory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        result = call("serve", memory, "--port", other.getsockname()[1])
    assert (result.exit_code, "is in use" in result.stderr) == (3, True)
