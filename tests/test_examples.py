"""What people copy works: each example and each Python block of the README, run as a program of its own."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support.plain import assert_healthy, plain
from tests.support.scripts import Ended, run_script

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py") if path.stem != "multi_agent")

_AS_A_PROGRAM = """
    import os, runpy, sys
    os.chdir(sys.argv.pop(1))
    runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


def run_program(program: Path, folder: Path, *arguments: object) -> Ended:
    """Runs a file in a folder, and it must end well and without a word on standard error."""
    ended = run_script(_AS_A_PROGRAM, folder, program, *arguments)
    ended.assert_ok()
    assert ended.stderr == ""
    return ended


def run_example(name: str, path: Path) -> list[str]:
    """The lines that an example printed; its file is healthy afterwards."""
    ended = run_program(ROOT / "examples" / f"{name}.py", path.parent, path)
    assert_healthy(path)
    return ended.stdout.splitlines()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_needs_no_argument_and_leaves_nothing_lying_about(name: str, tmp_path: Path) -> None:
    assert run_program(ROOT / "examples" / f"{name}.py", tmp_path).stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short_and_says_what_it_is(name: str) -> None:
    text = (ROOT / "examples" / f"{name}.py").read_text()
    assert 20 <= len(text.splitlines()) <= 55
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring is not None and f"python examples/{name}.py" in docstring


def test_quickstart_reads_what_it_wrote(db_path: Path) -> None:
    assert run_example("quickstart", db_path) == [
        "note 1 is committed",
        "2 more, both or none",
        "found: call Ada",
        "1: buy milk",
        "2: call Ada",
        "3: water the plants",
        "3 notes",
    ]
    assert run_example("quickstart", db_path)[-1] == "6 notes"  # the file is still there


def test_agent_loop_loses_no_memory(db_path: Path) -> None:
    lines = run_example("agent_loop", db_path)
    assert lines[0] == "200 memories of 20 agents"
    assert lines[1].endswith(" commits, 0 errors")
    counts = plain(db_path, "SELECT agent, count(*), count(DISTINCT step) FROM memory GROUP BY agent")
    assert len(counts) == 20 and {tuple(count) for _, *count in counts} == {(10, 10)}


def test_claim_a_task_gives_each_task_to_one_worker(db_path: Path) -> None:
    lines = run_example("claim_a_task", db_path)
    claims = [re.fullmatch(r"worker \d does (task \d+)", line) for line in lines[:-1]]
    assert sorted(claim[1] for claim in claims if claim) == sorted(f"task {n}" for n in range(1, 31))
    assert lines[-1] == "30 tasks done, 30 times worked"
    assert plain(db_path, "SELECT count(*) FROM task WHERE owner IS NULL OR NOT done") == [(0,)]


def test_check_then_act_makes_each_entity_once(db_path: Path) -> None:
    assert sorted(run_example("check_then_act", db_path)) == [
        "Acme Corp: 30 mentions",
        "Ada Lovelace: 20 mentions",
        "Charles Babbage: 10 mentions",
    ]


def test_transaction_makes_and_destroys_no_money(db_path: Path) -> None:
    assert run_example("transaction", db_path) == [
        "transferred",
        "refused: Charles has no 500 to give",
        "Ada has 70",
        "Charles has 130",
        "1 receipt",
    ]


def test_tool_in_a_thread_writes_each_result_once(db_path: Path) -> None:
    lines = run_example("tool_in_a_thread", db_path)
    assert lines[-2:] == ["sum of the results: 285", "sum of what was written: 285"]
    assert sorted(plain(db_path, "SELECT input, output FROM run")) == [(n, n * n) for n in range(10)]


def test_shared_memory_agrees_on_who_is_who(db_path: Path) -> None:
    lines = run_example("shared_memory", db_path)
    assert lines == [
        "3 assistants, 1 Ada Lovelace",
        "A. A. L. lives in Ockham, says mail: 'I have moved to Ockham. A. A. L.'",
        "ADA LOVELACE drinks tea with Charles Babbage, says calendar: 'Tuesday, tea with ADA  LOVELACE and Charles'",
        "ada lovelace likes white roses, says questions: 'Remind me: ada lovelace likes white roses.'",
        "everybody near her: Charles Babbage, Ockham, white roses",
    ]
    assert run_example("shared_memory", db_path) == lines  # the notes are known already
    assert plain(db_path, "SELECT text FROM fact WHERE expired_at IS NOT NULL") == [("Ada Lovelace lives in London",)]


def test_the_demo_holds_what_plain_dicts_hold_and_answers_questions() -> None:
    command = [sys.executable, ROOT / "examples" / "multi_agent.py", ROOT / "aiomemdb", "--quick"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=55)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "the database holds exactly these. integrity_check: ok." in ended.stdout
    assert re.search(r"(\d+) names at once: \1 entities, 0 duplicates; embeddings a name: 1\.", ended.stdout)
    assert re.search(r"aiomemdb at work +(\d+) +0 +0 +0 +0 ", ended.stdout)
    assert "what reads configuration files?" in ended.stdout and "how is json connected to re?" in ended.stdout


# -- the README ----------------------------------------------------------------------------------------------


def _blocks() -> list[tuple[int, str]]:
    """(line, text) of each Python block."""
    text = README.read_text() if README.exists() else ""
    return [
        (text.count("\n", 0, match.start()) + 1, textwrap.dedent(match[1]))
        for match in re.finditer(r"^[ ]*```python\n(.*?)^[ ]*```$", text, re.DOTALL | re.MULTILINE)
    ]


def test_the_readme_has_python_to_copy() -> None:
    assert README.exists()
    assert _blocks()


@pytest.mark.parametrize("block", [pytest.param(text, id=f"line {line}") for line, text in _blocks()])
def test_a_block_of_the_readme_runs_as_a_program(block: str, tmp_path: Path) -> None:
    """One that begins with ``# fragment`` is part of a larger program: it is only compiled."""
    if block.startswith("# fragment"):
        compile(block, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        return
    program, folder = tmp_path / "block.py", tmp_path / "folder"
    program.write_text(block)
    folder.mkdir()
    run_program(program, folder)


def test_worker_processes_do_each_task_once(db_path: Path) -> None:
    lines = run_example("worker_processes", db_path)
    done = [re.fullmatch(r"worker \d: (\d+) tasks", line) for line in lines]
    assert sum(int(match[1]) for match in done if match) == 100
    assert plain(db_path, "SELECT count(*) FROM task WHERE owner IS NULL OR result IS NOT id * id") == [(0,)]


def test_a_script_beside_an_app_loses_no_event_and_counts_none_twice(db_path: Path) -> None:
    script, app = run_example("script_beside_app", db_path)
    written, left = map(int, re.findall(r"\d+", app))
    assert len(summaries := [int(number) for number in re.findall(r"\d+", script)]) == 3
    assert sum(summaries) + left == written > left
