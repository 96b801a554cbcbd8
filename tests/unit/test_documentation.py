"""The documentation names all that there is: each public name in the reference, each page in the site's contents."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb import blocking, errors

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_each_public_name_is_in_the_reference() -> None:
    pages = "\n".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
    named = re.findall(r"^::: aiomemdb\.(\w+)$", pages, re.MULTILINE)
    assert sorted(named) == sorted(set(aiomemdb.__all__) - {"__version__"})
    of_blocking = re.findall(r"^::: aiomemdb\.blocking\.(\w+)$", pages, re.MULTILINE)
    assert sorted(of_blocking) == sorted(blocking.__all__)


def test_the_reference_draws_the_tree_of_errors() -> None:
    assert errors.__doc__ is not None
    [tree] = re.findall(r"^::\n\n(.*?)\n\n(?=\S)", errors.__doc__, re.DOTALL | re.MULTILINE)
    drawn = "\n".join(line.removeprefix("    ") for line in tree.splitlines())
    assert f"```text\n{drawn}\n```" in (DOCS / "reference/errors.md").read_text()


def test_each_page_is_in_the_contents_of_the_site() -> None:
    contents = re.findall(r"^ *- (?:\w+: )?(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(contents) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_each_guide_is_in_the_index() -> None:
    index = (DOCS / "index.md").read_text()
    assert [page.name for page in (DOCS / "guides").glob("*.md") if f"(guides/{page.name})" not in index] == []


def test_the_architecture_names_each_room_and_none_that_is_gone() -> None:
    page = (DOCS / "internals/architecture.md").read_text()
    rooms = {room.stem for room in (ROOT / "aiomemdb").rglob("*.py") if not room.stem.startswith("__")}
    assert sorted(rooms - set(re.findall(r"\w+", page))) == []
    named = re.findall(r"(?<![\w/])(\w+)\.py\b", page)  # others stand with their folder
    assert sorted(set(named) - rooms - {"pytest_aiomemdb"}) == []


def test_the_citation_is_of_this_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [aiomemdb.__version__]


# -- words ---------------------------------------------------------------------------------------------------

STILTED = re.compile(
    r"\b(nobody|somebody|whoever|whose|whom|who|of which|else|so that|mend(?:s|ed)?|tells?|told|gives?|but for)\b",
    re.IGNORECASE,
)


def prose(text: str) -> str:
    """What is left of a Markdown text without its code."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"(`+)(?:(?!\1).)+\1", "x", text, flags=re.DOTALL)


def docstrings(path: Path) -> str:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]
    return "\n\n".join(prose(ast.get_docstring(node) or "") for node in nodes)


TEXTS = {
    "README.md": [prose((ROOT / "README.md").read_text())],
    "docs": [prose(page.read_text()) for page in DOCS.rglob("*.md")],
    "guides": [prose(page.read_text()) for page in (DOCS / "guides").glob("*.md")],
    "CHANGELOG.md": [prose((ROOT / "CHANGELOG.md").read_text())],
    "docstrings": [docstrings(room) for room in (ROOT / "aiomemdb").rglob("*.py")],
}


def a_thousand(pattern: re.Pattern[str], texts: list[str]) -> float:
    return 1000 * sum(len(pattern.findall(text)) for text in texts) / sum(len(text.split()) for text in texts)


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_written_as_people_speak(name: str) -> None:
    sentences = [each for text in TEXTS[name] for each in re.split(r"(?<=[.:;])\s+|\n\n", text)]
    worst = sorted(sentences, key=lambda each: -len(STILTED.findall(each)))[:10]
    assert a_thousand(STILTED, TEXTS[name]) <= 4, "\n".join(worst)


@pytest.mark.parametrize("name", ["README.md", "guides"])
def test_a_text_speaks_to_its_reader(name: str) -> None:
    assert a_thousand(re.compile(r"\byour?\b", re.IGNORECASE), TEXTS[name]) >= 6


# -- figures -------------------------------------------------------------------------------------------------


def test_the_pages_have_the_figures_that_the_benchmarks_stored() -> None:
    ran = subprocess.run([sys.executable, ROOT / "bench/report.py", "--check"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
