"""Blocks of the README and the guides that are not Python: JSON parses, commands exist, output shown is output seen."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiomemdb import Memory

typer_main = pytest.importorskip("typer.main")

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: Blocks in other languages: text is no program, and Python has tests/test_examples.py.
KINDS = {"python", "text", "json", "sql", "sh", "console"}


def blocks(*kinds: str) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for kind, block in re.findall(r"^ *```(\w+)\n(.*?)^ *```$", page.read_text(), re.DOTALL | re.MULTILINE):
            if kind in kinds:
                yield str(page.relative_to(ROOT)), block


def commands(block: str) -> Iterator[list[str]]:
    """The words of each command of a block: those behind ``$``, or all of its lines where none has it."""
    lines = [line for line in block.splitlines() if line.startswith("$ ")] or block.splitlines()
    for line in lines:
        command: list[str] = []
        for word in [*shlex.split(line.removeprefix("$ "), comments=True), "|"]:
            if word in ("|", "&&"):
                yield command
                command = []
            else:
                command.append(word)


def test_each_kind_of_block_has_a_test() -> None:
    kinds = {kind for page in PAGES for kind in re.findall(r"^ *```(\w+)$", page.read_text(), re.MULTILINE)}
    assert kinds <= KINDS


def test_json_parses() -> None:
    for _, block in blocks("json"):
        json.loads(block)


def test_each_command_that_is_shown_exists_with_its_options() -> None:
    from aiomemdb.cli.app import app

    verbs: dict[str, Any] = typer_main.get_command(app).commands
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    seen = 0
    for page, block in blocks("sh", "console"):
        for words in commands(block):
            if words[:1] == ["make"]:
                assert words[1] in targets, (page, words)
            if words[:1] == ["aiomemdb"]:
                seen += 1
                options = {name for each in verbs[words[1]].params for name in (*each.opts, *each.secondary_opts)}
                shown = {word for word in words[2:] if word.startswith("--")}
                assert shown <= options | {"--help"}, (page, words)
    assert seen > 10


def test_the_blocks_of_the_command_line_show_what_it_prints(tmp_path: Path) -> None:
    """In their order, in one folder; ``…`` stands for anything. Those on a server are left out."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NO_COLOR": "1"}
    text = "\n".join(
        block
        for page, block in blocks("console")
        if page == "docs/guides/command-line.md" and "postgresql" not in block
    )
    shown = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE)
    assert len(shown) > 3
    for command, output in shown:
        ran = subprocess.run(command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        expected = ".*?".join(map(re.escape, output.strip().split("…")))
        assert re.fullmatch(expected, ran.stdout.strip(), re.DOTALL), (command, ran.stdout)


@pytest.mark.parametrize("block", [block for _, block in blocks("sql")])
async def test_sql_for_agents_runs(block: str, db_path: Path) -> None:
    async with Memory.open(db_path) as memory:
        await memory.add_fact("the Berlin wall", "fell in", value=1989)
        assert len((await memory.agent_read(block)).rows) == 1
