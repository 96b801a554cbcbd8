"""Extras: each that a text names exists, each has a program in .ci/dist.py, and none brings what another is for."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def named_in(text: str) -> set[str]:
    return {name for extras in re.findall(r"aiomemdb\[([a-z,-]+)\]", text) for name in extras.split(",")}


def brought_by(extra: str) -> set[str]:
    """The packages that pip is asked for."""
    brought = set[str]()
    for requirement in EXTRAS[extra]:
        for other in named_in(requirement):
            brought |= brought_by(other)
        brought.add(re.split(r"[\[<>=~;! ]", requirement)[0])
    return brought - {"aiomemdb"}


def test_each_extra_that_a_text_names_exists() -> None:
    texts = [ROOT / "README.md", ROOT / "CHANGELOG.md"]
    for folder, kind in (("aiomemdb", "*.py"), ("examples", "*.py"), ("docs", "*.md")):
        texts += (ROOT / folder).rglob(kind)
    wrong = {str(text.relative_to(ROOT)): named_in(text.read_text()) - set(EXTRAS) for text in texts}
    assert {text: names for text, names in wrong.items() if names} == {}


def test_each_extra_of_users_has_a_program_that_is_run_with_and_without_it() -> None:
    dist = runpy.run_path(str(ROOT / ".ci/dist.py"))
    assert set(dist["PROGRAMS"]) == dist["users_extras"]() <= set(EXTRAS)


def test_an_embedder_over_http_brings_no_agents_and_the_agents_bring_no_embedder() -> None:
    assert brought_by("embeddings-http") == {"httpx2", "numpy"}
    assert brought_by("openai") == {"openai-agents"}
