"""``aiomemdb query`` and ``shell``: one SELECT, or one after another; and ``tail``, which follows."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import select
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_command import call, documents, ok


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    path = tmp_path / "memory.db"
    ok("remember", path, "Ada moved to Ockham.", "--fact", "Ada | lives in | Ockham", "--agent", "mail")
    ok("remember", path, "The key is under the mat.", "--fact", "key | is | hidden", "--namespace", "secret")
    return path


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    path = tmp_path / "tables.db"
    with closing(sqlite3.connect(path)) as plain, plain:
        plain.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, body, data)")
        rows = [("one\ntwo", None), ('a "quoted", text', b"\x00\xff"), ("", 2.5)]
        plain.executemany("INSERT INTO note (body, data) VALUES (?, ?)", rows)
    return path


# -- query ---------------------------------------------------------------------------------------------------


def test_a_memory_answers_by_its_views_and_shows_no_other_namespace(memory: Path) -> None:
    assert documents("query", memory, "SELECT subject, predicate, object FROM facts") == [
        {"subject": "Ada", "predicate": "lives in", "object": "Ockham"}
    ]
    both = documents("query", memory, "SELECT namespace FROM facts ORDER BY 1", "--also-read", "secret")
    assert [row["namespace"] for row in both] == ["default", "secret"]


def test_another_file_answers_by_its_tables(tables: Path) -> None:
    assert documents("query", tables, "SELECT id, data FROM note") == [
        {"id": 1, "data": None},
        {"id": 2, "data": "00ff"},
        {"id": 3, "data": 2.5},
    ]


def test_the_tables_of_a_file_that_has_a_memory_too_are_asked_for(memory: Path) -> None:
    with closing(sqlite3.connect(memory)) as plain, plain:
        plain.execute("CREATE TABLE note (body)")
        plain.execute("INSERT INTO note VALUES ('mine')")
    assert documents("query", memory, "SELECT body FROM note", "--tables") == [{"body": "mine"}]
    assert call("query", memory, "SELECT body FROM note").exit_code == 2
    assert call("query", memory, "SELECT * FROM fact", "--tables").exit_code == 2  # the library's own


def test_csv_has_a_line_of_names_and_quotes_what_needs_it(tables: Path) -> None:
    text = ok("query", tables, "SELECT body, data, data FROM note ORDER BY id", "--csv")
    assert list(csv.reader(io.StringIO(text))) == [
        ["body", "data", "data_2"],
        ["one\ntwo", "", ""],
        ['a "quoted", text', "00ff", "00ff"],
        ["", "2.5", "2.5"],
    ]


def test_a_text_may_come_from_standard_input(tables: Path) -> None:
    assert ok("query", tables, "-", input="SELECT count(*)\nFROM note") == "3\n"


def test_an_answer_is_cut_at_the_limit_and_a_remark_says_so(tables: Path) -> None:
    result = call("query", tables, "SELECT id FROM note ORDER BY id", "--limit", 2)
    assert result.exit_code == 0 and result.stdout == "1\n2\n"
    assert "cut off after 2 rows, by --limit 2" in result.stderr
    assert "cut off" not in call("query", tables, "SELECT id FROM note", "--limit", 3).stderr


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("DELETE FROM note", "one SELECT"),
        ("SELECT 1; SELECT 2", "one after another"),
        ("SELECT bodi FROM note", "near it: body"),
        ("SELECT * FROM notes", "near it: note"),
        ("SELEC 1", "syntax error"),
        ("SELECT ?", "bindings"),
        ("PRAGMA table_list", "PRAGMA"),
        ("ATTACH 'x' AS y", "one SELECT"),
        ("", "SELECT"),
    ],
)
def test_a_text_that_is_refused_is_wrong_usage_and_changes_nothing(tables: Path, sql: str, says: str) -> None:
    before = tables.read_bytes()
    result = call("query", tables, sql)
    assert result.exit_code == 2 and says in result.stderr and result.stdout == "", result.stderr
    assert tables.read_bytes() == before


def test_a_refusal_as_json_is_one_document(tables: Path) -> None:
    result = call("query", tables, "DROP TABLE note", "--json")
    assert json.loads(result.stderr)["error"] == "ForbiddenStatement"


def test_a_query_that_takes_too_long_is_stopped(tables: Path) -> None:
    endless = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    result = call("query", tables, endless, "--timeout", 0.3)
    assert result.exit_code == 3 and result.stdout == ""


@pytest.mark.parametrize("verb", ["query", "shell"])
def test_two_forms_of_one_answer_are_wrong_usage(tables: Path, verb: str) -> None:
    arguments = (verb, tables, *(["SELECT 1"] if verb == "query" else []), "--csv", "--json")
    assert call(*arguments).exit_code == 2


# -- shell ---------------------------------------------------------------------------------------------------


def test_a_shell_answers_one_after_another_from_a_pipe(tables: Path) -> None:
    said = ok("shell", tables, input="SELECT 1;\n\nSELECT count(*)\nFROM note;\nSELECT ';';\nSELECT 4")
    assert said == "1\n3\n;\n4\n"


def test_a_shell_goes_on_after_an_error_and_its_status_says_there_was_one(tables: Path) -> None:
    result = call("shell", tables, input="DROP TABLE note;\nSELECT count(*) FROM note;\n")
    assert (result.exit_code, result.stdout) == (2, "3\n") and "one SELECT" in result.stderr


def test_a_shell_lists_what_can_be_asked(tables: Path, memory: Path) -> None:
    assert ok("shell", tables, input=".tables\n.columns note\n.quit\nSELECT 1;") == "note\nid\nbody\ndata\n"
    assert ok("shell", memory, input=".tables").splitlines() == [
        "aliases",
        "entities",
        "episodes",
        "evidence",
        "fact_history",
        "facts",
    ]
    assert ok("shell", memory, "--tables", input=".tables") == ""  # none but the library's own
    assert call("shell", tables, input=".columns missing").exit_code == 2
    assert ".columns NAME" in call("shell", tables, input=".help").stderr


def test_a_shell_has_no_way_to_another_namespace(memory: Path) -> None:
    asked = "SELECT count(*) FROM facts;\nSELECT search_facts('mat key hidden');\nSELECT * FROM main.fact;"
    result = call("shell", memory, input=asked)
    assert result.stdout == "1\n[]\n" and "hidden" not in result.output


# -- as a process --------------------------------------------------------------------------------------------


class Terminal:
    """The command at a terminal of its own."""

    def __init__(self, *arguments: object) -> None:
        self._mine, theirs = pty.openpty()
        command = [sys.executable, "-m", "aiomemdb", *map(str, arguments)]
        environment = os.environ | {"TERM": "dumb", "NO_COLOR": "1", "INPUTRC": os.devnull}
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, env=environment
        )
        os.close(theirs)
        self.said = ""

    def until(self, text: str) -> str:
        """What it says up to ``text``."""
        while text not in self.said:
            try:
                self.said += os.read(self._mine, 4096).decode()
            except OSError as error:  # it has ended
                raise AssertionError(self.said) from error
        before, _, self.said = self.said.partition(text)
        return before

    def interrupt_until(self, text: str) -> str:
        """What it says up to ``text``, behind Ctrl-C.

        One that comes between the prompt and readline's wait for a key is heard at the next key. It is pressed again.
        """
        while text not in self.said:
            os.kill(self.process.pid, signal.SIGINT)
            while text not in self.said and select.select([self._mine], [], [], 1.0)[0]:
                self.said += os.read(self._mine, 4096).decode()
        return self.until(text)

    def type(self, text: str) -> None:
        os.write(self._mine, text.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._mine)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    started: list[Terminal] = []
    yield started
    for terminal in started:
        terminal.close()


def test_at_a_terminal_ctrl_c_drops_a_line_or_stops_a_query_and_ctrl_d_ends(
    tables: Path, terminals: list[Terminal]
) -> None:
    terminal = Terminal("shell", tables)
    terminals.append(terminal)
    terminal.until("sql> ")
    terminal.type("SELECT nonsense\n")
    terminal.until("...> ")
    terminal.interrupt_until("sql> ")
    terminal.type("WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n;\n")
    terminal.until("FROM n;")
    terminal.interrupt_until("sql> ")
    terminal.type("SELECT 'it ' || 'goes on';\n")
    terminal.until("it goes on")
    terminal.until("sql> ")
    terminal.type("\x04")
    assert terminal.process.wait(60) == 0


# -- tail ----------------------------------------------------------------------------------------------------


def test_what_was_done_is_followed_from_the_start_or_from_a_position(memory: Path) -> None:
    first = documents("tail", memory, "--after", "start", "--count", 4)
    assert [(each["operation"], each["kind"]) for each in first] == [
        ("create", "entity"),
        ("create", "entity"),
        ("create", "episode"),
        ("create", "fact"),
    ]
    assert first[3]["item"]["text"] == "Ada lives in Ockham" and first[3]["agent"] == "mail"
    behind = documents("tail", memory, "--after", first[1]["position"], "--count", 2)
    assert behind == first[2:]
    [fact] = documents("tail", memory, "--after", "start", "--count", 1, "--kind", "fact")
    assert fact == first[3]


def test_a_pipe_of_tail_gets_tabs(memory: Path) -> None:
    line = ok("tail", memory, "--after", "start", "--count", 1, "--kind", "fact")
    assert line.rstrip("\n").split("\t")[1:] == ["create", "fact 1", "mail", "Ada lives in Ockham"]


@pytest.mark.parametrize("wrong", [("--after", "nonsense"), ("--kind", "dream")])
def test_a_tail_from_nowhere_is_wrong_usage(memory: Path, wrong: tuple[str, str]) -> None:
    assert call("tail", memory, *wrong).exit_code == 2


def test_a_tail_sees_what_another_process_does_and_ends_at_ctrl_c(memory: Path) -> None:
    command = [sys.executable, "-m", "aiomemdb", "tail", str(memory), "--json", "--kind", "fact"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            # It begins with what is done from its first look on, and does not report that look: so facts are written
            # until it says one.
            told: list[dict[str, Any]] = []
            os.set_blocking(process.stdout.fileno(), False)
            number = 0
            while not told:
                ok("remember", memory, f"text {number}", "--fact", f"Ada | wrote | note {number}")
                number += 1
                with suppress(TypeError):
                    told += [json.loads(line) for line in process.stdout.read().splitlines()]
            assert told[0]["kind"] == "fact" and told[0]["item"]["predicate"] == "wrote"
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
            assert process.stderr.read() == ""
        finally:
            process.kill()
