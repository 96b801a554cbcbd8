"""Our server beside the reference server on node, and the reference server's own tests on ours: ``make test-mcp``.

Not part of ``make test``: node and npm's registry are needed, and AIOMEMDB_SERVER_MEMORY_SOURCE for the folder
``src/memory`` of https://github.com/modelcontextprotocol/servers, as the package on npm has no tests in it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.mcp.clients import CHECKOUT, URI, Server
from tests.mcp.rules import Rules
from tests.mcp.sequences import Call, calls

PACKAGE = "@modelcontextprotocol/server-memory@2026.8.31"
VITEST = "vitest@4"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aiomemdb" / "mcp"
SOURCE = os.environ.get("AIOMEMDB_SERVER_MEMORY_SOURCE")

pytestmark = pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="node and npm are not there")


@cache
def installed(package: str) -> Path:
    """The folder of a package of npm's, with what it needs."""
    folder = CACHE / re.sub(r"\W+", "-", package).strip("-")
    if not (folder / ".ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        subprocess.run(
            ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", folder, package], check=True
        )
        (folder / ".ready").touch()
    return folder / "node_modules"


def reference(file: Path) -> Server:
    program = installed(PACKAGE) / "@modelcontextprotocol" / "server-memory" / "dist" / "index.js"
    return Server(environ={"MEMORY_FILE_PATH": str(file)}, command=("node", str(program)))


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Server]:
    with reference(tmp_path / "theirs.jsonl") as server:
        yield server


def test_what_is_listed_is_what_theirs_lists(theirs: Server, tmp_path: Path) -> None:
    with Server("--file", tmp_path / "ours.db") as ours:
        for method in ("tools/list", "resources/list", "resources/templates/list"):
            assert ours.request(method) == theirs.request(method)
        assert ours.info["capabilities"] == theirs.info["capabilities"]


#: (tool, arguments): what is asked wrongly, and what theirs answers to it is asked of it here.
WRONG: tuple[Call, ...] = (
    ("create_entities", {}),
    ("create_entities", {"entities": {}}),
    ("create_entities", {"entities": [{"name": 1, "entityType": None, "observations": "x"}, 5, []]}),
    ("create_entities", {"entities": [{"name": "a", "entityType": [], "observations": [1, True, {}, 1.5, None]}]}),
    ("create_relations", {"relations": [{"from": "a"}]}),
    ("add_observations", {"observations": [{"entityName": "X", "contents": ["a"]}]}),
    ("add_observations", {"observations": [{"entityName": "X", "contents": []}]}),
    ("delete_observations", {"deletions": [{"entityName": "a"}]}),
    ("search_nodes", {}),
    ("search_nodes", {"query": None}),
    ("open_nodes", {"names": ["a", None]}),
    ("nope", {}),
)


def test_what_is_asked_wrongly_is_answered_in_the_same_words(theirs: Server, tmp_path: Path) -> None:
    with Server("--file", tmp_path / "ours.db") as ours:
        for tool, asked in WRONG:
            assert answer(ours, tool, asked) == answer(theirs, tool, asked)


def test_what_a_schema_does_not_name_is_left_out(theirs: Server, tmp_path: Path) -> None:
    entity = {"name": "a", "entityType": "t", "observations": [], "more": 1}
    with Server("--file", tmp_path / "ours.db") as ours:
        for server in (ours, theirs):
            assert server.data("create_entities", entities=[entity], more=1)["entities"] == [
                {"name": "a", "entityType": "t", "observations": []}
            ]


def test_the_resource_is_the_same(theirs: Server, tmp_path: Path) -> None:
    with Server("--file", tmp_path / "ours.db") as ours:
        found = []
        for server in (ours, theirs):
            server.call("create_entities", entities=[{"name": "Zoë", "entityType": "t", "observations": ["a\u2028b"]}])
            found.append(server.request("resources/read", {"uri": URI}))
        assert found[0] == found[1]


def answer(server: Server, tool: str, asked: dict[str, Any]) -> tuple[str, Any, bool]:
    found = server.call(tool, **asked)
    [content] = found["content"]
    return content["text"], found.get("structuredContent"), bool(found.get("isError"))


@settings(
    max_examples=100,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(sequence=calls)
def test_the_model_of_the_rules_answers_as_theirs_does(theirs: Server, tmp_path: Path, sequence: list[Call]) -> None:
    """So what is said of ours by the model holds of theirs."""
    (tmp_path / "theirs.jsonl").unlink(missing_ok=True)
    rules = Rules()
    for tool, asked in sequence:
        assert answer(theirs, tool, asked) == rules.call(tool, asked)


@pytest.mark.skipif(SOURCE is None, reason="AIOMEMDB_SERVER_MEMORY_SOURCE names no source of the reference's tests")
@pytest.mark.parametrize(("mirror", "passed", "failed"), [(True, 36, 0), (False, 34, 2)], ids=["mirror", "no mirror"])
@pytest.mark.timeout(900)
def test_the_references_own_tests_pass_on_ours(mirror: bool, passed: int, failed: int) -> None:
    """Without a mirror all but two, which read the file by hand."""
    assert SOURCE is not None
    modules = installed(VITEST)
    with tempfile.TemporaryDirectory(dir=modules.parent) as folder:  # where vitest finds itself
        tests = Path(folder) / "__tests__"
        tests.mkdir()
        shutil.copy(Path(SOURCE) / "__tests__" / "knowledge-graph.test.ts", tests)
        shutil.copy(Path(__file__).with_name("adapter.js"), Path(folder) / "index.js")
        environ = {
            **os.environ,
            "PYTHONPATH": str(CHECKOUT),
            "AIOMEMDB_MCP_COMMAND": json.dumps([sys.executable, "-m", "aiomemdb", "mcp"]),
            "AIOMEMDB_MCP_FOLDER": folder,
            "AIOMEMDB_MCP_MIRROR": "1" if mirror else "",
        }
        ended = subprocess.run(
            [modules / ".bin" / "vitest", "run", "--root", folder, "--reporter=json", "--testTimeout=120000"],
            env=environ, cwd=folder, capture_output=True, text=True,
        )  # fmt: skip
        report = json.loads(ended.stdout[ended.stdout.index("{") :])
    failing = [
        test["fullName"]
        for file in report["testResults"]
        for test in file["assertionResults"]
        if test["status"] == "failed"
    ]
    assert (report["numPassedTests"], len(failing)) == (passed, failed), failing
    assert all("file" in name or "JSONL" in name for name in failing)
