"""The documentation names all that there is: each public name in the reference, each page in the site's contents."""

from __future__ import annotations

import re
from pathlib import Path

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
    contents = re.findall(r"^ *- (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(contents) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_each_guide_is_in_the_index() -> None:
    index = (DOCS / "index.md").read_text()
    assert [page.name for page in (DOCS / "guides").glob("*.md") if f"(guides/{page.name})" not in index] == []
