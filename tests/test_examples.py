"""What people copy works: each example, and each Python block of the README and the documentation, run as a program."""

from __future__ import annotations

import ast
import importlib
import re
import sqlite3
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import pytest

import aiomemdb
from aiomemdb import Memory, Name
from tests.support.plain import assert_healthy, plain
from tests.support.scripts import Ended, run_script
from tests.support.warm import Warm

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py") if not path.stem.startswith("multi_agent"))

_AS_A_PROGRAM = """
    import os, runpy, sys
    from aiomemdb.sqlite.writing import operations
    operations.SLOW_FUNCTION = 60.0  # on a busy machine any job may take a quarter of a second
    os.chdir(sys.argv.pop(1))
    runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


def run_program(run: Callable[..., Ended], program: Path, folder: Path, *arguments: object) -> str:
    """Runs a file in a folder, and it must end well and without a word on standard error; returns what it printed."""
    ended = run(_AS_A_PROGRAM, folder, program, *arguments)
    ended.assert_ok()
    assert ended.stderr == ""
    return ended.stdout


RunExample: TypeAlias = Callable[[str, Path], list[str]]


@pytest.fixture
def run_example(warm: Warm) -> RunExample:
    """Returns the lines that an example printed; its file is healthy afterwards."""

    def run(name: str, path: Path) -> list[str]:
        printed = run_program(warm.run, ROOT / "examples" / f"{name}.py", path.parent, path)
        assert_healthy(path)
        return printed.splitlines()

    return run


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_needs_no_argument_and_leaves_nothing_lying_about(name: str, tmp_path: Path) -> None:
    assert run_program(run_script, ROOT / "examples" / f"{name}.py", tmp_path)  # an interpreter of its own
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short_and_says_what_it_is(name: str) -> None:
    text = (ROOT / "examples" / f"{name}.py").read_text()
    assert 20 <= len(text.splitlines()) <= 55
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring is not None and f"python examples/{name}.py" in docstring


def test_quickstart_reads_what_it_wrote(db_path: Path, run_example: RunExample) -> None:
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


def test_agent_loop_loses_no_memory(db_path: Path, run_example: RunExample) -> None:
    lines = run_example("agent_loop", db_path)
    assert lines[0] == "200 memories of 20 agents"
    assert lines[1].endswith(" commits, 0 errors")
    counts = plain(db_path, "SELECT agent, count(*), count(DISTINCT step) FROM memory GROUP BY agent")
    assert len(counts) == 20 and {tuple(count) for _, *count in counts} == {(10, 10)}


def test_claim_a_task_assigns_each_task_to_one_worker(db_path: Path, run_example: RunExample) -> None:
    lines = run_example("claim_a_task", db_path)
    claims = [re.fullmatch(r"worker \d does (task \d+)", line) for line in lines[:-1]]
    assert sorted(claim[1] for claim in claims if claim) == sorted(f"task {n}" for n in range(1, 31))
    assert lines[-1] == "30 tasks done, 30 times worked"
    assert plain(db_path, "SELECT count(*) FROM task WHERE owner IS NULL OR NOT done") == [(0,)]


def test_check_then_act_makes_each_entity_once(db_path: Path, run_example: RunExample) -> None:
    assert sorted(run_example("check_then_act", db_path)) == [
        "Acme Corp: 30 mentions",
        "Ada Lovelace: 20 mentions",
        "Charles Babbage: 10 mentions",
    ]


def test_transaction_makes_and_destroys_no_money(db_path: Path, run_example: RunExample) -> None:
    assert run_example("transaction", db_path) == [
        "transferred",
        "refused: Charles has no 500 to give",
        "Ada has 70",
        "Charles has 130",
        "1 receipt",
    ]


def test_tool_in_a_thread_writes_each_result_once(db_path: Path, run_example: RunExample) -> None:
    lines = run_example("tool_in_a_thread", db_path)
    assert lines[-2:] == ["sum of the results: 285", "sum of what was written: 285"]
    assert sorted(plain(db_path, "SELECT input, output FROM run")) == [(n, n * n) for n in range(10)]


def test_synchronous_tool_books_each_trip_once_and_knows_each_city_once(db_path: Path, run_example: RunExample) -> None:
    lines = run_example("synchronous_tool", db_path)
    assert lines[0] == "agent 0 to Lisbon" and lines[-1] == "3 cities, 30 trips"
    assert plain(db_path, "SELECT count(*), count(DISTINCT traveller), count(DISTINCT city) FROM trip") == [(30, 30, 3)]


def test_shared_memory_agrees_on_who_is_who(db_path: Path, run_example: RunExample) -> None:
    lines = run_example("shared_memory", db_path)
    assert lines == [
        "3 assistants, 1 Ada Lovelace",
        "A. A. L. lives in Ockham, says mail: 'I have moved to Ockham. A. A. L.'",
        "ADA LOVELACE drinks tea with Charles Babbage, says calendar: 'Tuesday, tea with ADA  LOVELACE and Charles'",
        "ada lovelace likes white roses, says questions: 'Remind me: ada lovelace likes white roses.'",
        "near her: Charles Babbage, Ockham, white roses",
    ]
    assert run_example("shared_memory", db_path) == lines  # the notes are known already
    assert plain(db_path, "SELECT text FROM fact WHERE expired_at IS NOT NULL") == [("Ada Lovelace lives in London",)]


# -- the demo ------------------------------------------------------------------------------------------------

DEMO = (ROOT / "examples" / "multi_agent.py", ROOT / "aiomemdb", "--quick")

# Parts of the library taken out, in the process that then runs the demo.
SABOTAGES = {
    "a memory that forgets a fact now and then": """
        from aiomemdb import Memory
        remember = Memory.remember
        async def forgetful(self, content, facts=(), **more):
            return await remember(self, content, list(facts)[:-1] if len(content) % 3 else facts, **more)
        Memory.remember = forgetful
    """,
    "a writer that now and then does nothing": """
        from aiomemdb.sqlite.engine.database import SQLiteDatabase
        write_fn = SQLiteDatabase.write_fn
        async def lazy(self, fn, *args, **more):
            if getattr(fn, "__name__", "") == "state_fact" and args[0][0] == "subclasses":
                return None
            return await write_fn(self, fn, *args, **more)
        SQLiteDatabase.write_fn = lazy
    """,
}


def run_demo(folder: Path, before: str = "", *, interrupt: bool = False) -> Ended:
    """Runs the demo for a few seconds, after some lines of Python in the same process."""
    find = f"import sys; sys.path.insert(0, {str(ROOT / 'examples')!r})"
    text = "\n".join(map(textwrap.dedent, (find, before, _AS_A_PROGRAM)))
    return run_script(text, folder, *DEMO, interrupt=interrupt, timeout=100)


@pytest.mark.timeout(120)
def test_the_demo_holds_what_plain_dicts_hold_and_answers_questions(tmp_path: Path) -> None:
    ended = run_demo(tmp_path)
    ended.assert_ok()
    assert ended.stderr == ""
    assert len(ended.stdout.splitlines()) <= 30
    assert re.search(r"^aiomemdb +[1-9][\d,]* +\d[\d.]* m?s +0 +0 +0$", ended.stdout, re.MULTILINE)
    assert "The file holds exactly these: 0 lost, 0 doubled, 0 that no agent wrote." in ended.stdout
    assert "what reads configuration files?" in ended.stdout and "how is json connected to re?" in ended.stdout
    assert ended.stdout.splitlines()[-3] == "What next?"
    [page] = re.findall(r"^See what they learnt, in a browser: (.*)$", ended.stdout, re.MULTILINE)
    assert Path(page).read_bytes().startswith(b"<!doctype html>")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_the_demo_fails_with(sabotage: str, tmp_path: Path) -> None:
    ended = run_demo(tmp_path, SABOTAGES[sabotage])
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "FAILED: " in ended.stdout


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    return importlib.import_module("_multi_agent.graph")


@pytest.mark.parametrize(
    ("sabotage", "lost", "doubled", "stray"),
    [
        ("SELECT 1", 0, 0, 0),
        ("DELETE FROM facts WHERE id = 1", 1, 0, 0),
        ("INSERT INTO names (kind, name) SELECT kind, name FROM names WHERE id = 1", 0, 1, 0),
        ("INSERT INTO facts (kind, source, target) SELECT kind, source, target FROM facts", 0, 2, 0),
        ("INSERT INTO names (kind, name) VALUES ('module', 'enum')", 0, 0, 1),
        ("UPDATE facts SET target = 1 WHERE id = 2", 1, 0, 1),
        ("UPDATE facts SET target = 99 WHERE id = 2", 1, 0, 1),
    ],
)
def test_the_demo_sees_what_is_wrong_with_a_file(
    graph: Any, db_path: Path, sabotage: str, lost: int, doubled: int, stray: int
) -> None:
    facts = [("imports", ("module", "json"), ("module", name)) for name in ("re", "json.decoder")]
    with closing(sqlite3.connect(db_path)) as conn:
        conn.executescript(graph.SCHEMA)
        conn.executemany(graph.ADD_NAME, [("module", name) for name in ("json", "re", "json.decoder")])
        conn.executemany(graph.ADD_FACT, [("imports", 1, 2), ("imports", 1, 3)])
        conn.execute(sabotage)
        conn.commit()
    verdict = graph.compare(db_path, graph.truth_of_facts(facts), graph.PLAIN_TABLES)
    assert (verdict.lost, verdict.doubled, verdict.stray, verdict.integrity) == (lost, doubled, stray, "ok")
    assert verdict.perfect is (sabotage == "SELECT 1")


async def test_the_demo_sees_a_text_that_is_not_the_one_written(graph: Any, db_path: Path) -> None:
    source = importlib.import_module("_multi_agent.source")
    json, re = ("module", "json"), ("module", "re")
    note = source.Note("json.py", json, "json: JSON encoder and decoder.", [("imports", json, re)])
    async with Memory.open(db_path) as memory:
        await memory.remember(note.text, [(Name("json", "module"), "imports", Name("re", "module"))], key=note.key)
    assert graph.compare(db_path, graph.truth_of_notes([note]), graph.MEMORY_TABLES).perfect
    other = note._replace(text="json: something")
    verdict = graph.compare(db_path, graph.truth_of_notes([other]), graph.MEMORY_TABLES)
    assert (verdict.lost, verdict.doubled, verdict.stray) == (1, 0, 1)


@pytest.mark.timeout(120)
def test_the_demo_ends_at_once_when_it_is_interrupted_and_leaves_nothing(tmp_path: Path) -> None:
    """Struck in the storm, where a hundred threads and connections are open."""
    ready = """
        import _multi_agent.storm as storm, tempfile
        tempfile.tempdir = sys.argv[1]
        start = storm._connections
        @storm.asynccontextmanager
        async def announced(path, count):
            async with start(path, count) as conns:
                if count > 1:
                    print("ready", flush=True)
                yield conns
        storm._connections = announced
    """
    ended = run_demo(tmp_path, ready, interrupt=True)
    assert (ended.returncode, ended.stderr) == (130, "stopped\n")
    assert list(tmp_path.iterdir()) == []


# -- the README and the documentation ----------------------------------------------------------------------------

PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]


def _blocks() -> Iterator[tuple[str, str]]:
    """(page and line, text) of each Python block."""
    for page in PAGES:
        text = page.read_text()
        for match in re.finditer(r"^[ ]*```python\n(.*?)^[ ]*```$", text, re.DOTALL | re.MULTILINE):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{page.relative_to(ROOT)}, line {line}", textwrap.dedent(match[1])


def test_the_readme_has_python_to_copy() -> None:
    assert any(where.startswith("README.md") for where, _ in _blocks())


#: Blocks that need more than the library: which test runs them, where what they need is installed.
ELSEWHERE = {
    "docs/guides/agent-framework.md": "tests/frameworks/test_agent_framework.py",
    "docs/guides/claude-agent.md": "tests/frameworks/test_claude_agent.py",
    "docs/guides/google-adk.md": "tests/frameworks/test_google_adk.py",
    "docs/guides/langgraph.md": "tests/frameworks/test_langgraph_processes.py",
    "docs/guides/llama-index.md": "tests/frameworks/test_llama_index.py",
    "docs/guides/openai-agents.md": "tests/frameworks/test_openai_agents.py",
    "docs/guides/postgres.md": "tests/postgres/test_guide.py",
    "docs/guides/programs.md": "tests/frameworks/test_sqlalchemy_examples.py",
    "docs/guides/pydantic-ai.md": "tests/frameworks/test_pydantic_ai.py",
    "docs/guides/pytest.md": "tests/test_pytest_plugin.py",
}


@pytest.mark.parametrize("page", ELSEWHERE)
def test_the_blocks_of_a_page_that_needs_more_are_run_by_another_test(page: str) -> None:
    assert page.removeprefix("docs/") in (ROOT / ELSEWHERE[page]).read_text()


@pytest.mark.parametrize(
    "block", [pytest.param(text, id=where) for where, text in _blocks() if where.partition(",")[0] not in ELSEWHERE]
)
def test_a_block_of_the_documentation_runs_as_a_program(block: str, tmp_path: Path, warm: Warm) -> None:
    program, folder = tmp_path / "block.py", tmp_path / "folder"
    program.write_text(block)
    folder.mkdir()
    run_program(warm.run, program, folder)
    # There the rooms of the package are imported already; a reader's program imports those that it names.
    named = set(re.findall(r"\baiomemdb\.(\w+)", block)) - set(re.findall(r"(?:import|from) aiomemdb\.(\w+)", block))
    assert named <= set(aiomemdb.__all__)


def _links() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"""(?:\]\(|(?:src|srcset)=")([^)"\s]+)""", text):
            if not re.match(r"[a-z]+:", target):
                yield str(page.relative_to(ROOT)), target


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in PAGES])
def test_each_link_of_the_documentation_leads_somewhere(page: str) -> None:
    for target in [target for of, target in _links() if of == page]:
        name, _, anchor = target.partition("#")
        there = (ROOT / page).parent / name if name else ROOT / page
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", there.read_text(), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in slugs, f"{target}: {slugs}"


def test_worker_processes_do_each_task_once(db_path: Path, run_example: RunExample) -> None:
    lines = run_example("worker_processes", db_path)
    done = [re.fullmatch(r"worker \d: (\d+) tasks", line) for line in lines]
    assert sum(int(match[1]) for match in done if match) == 100
    assert plain(db_path, "SELECT count(*) FROM task WHERE owner IS NULL OR result IS NOT id * id") == [(0,)]


def test_a_script_beside_an_app_loses_no_event_and_counts_none_twice(db_path: Path, run_example: RunExample) -> None:
    script, app = run_example("script_beside_app", db_path)
    written, left = map(int, re.findall(r"\d+", app))
    assert len(summaries := [int(number) for number in re.findall(r"\d+", script)]) == 3
    assert sum(summaries) + left == written > left
