"""Whatever a question is made of, it is no query language: it raises nothing, and finds the text that says the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import aiomemdb
from aiomemdb import Memory

SYNTAX = [
    '"',
    "'",
    "NEAR(",
    "NEAR",
    "AND",
    "OR",
    "NOT",
    "(",
    ")",
    "*",
    "^",
    ":",
    "{",
    "}",
    "+",
    "-",
    "a:b",
    "C++",
    "it's",
]
SYNTAX += [
    "fact_words",
    "rank",
    "content:",
    ";",
    "--",
    "%",
    "?",
    ":words",
    "\\",
    "\n",
    "🌹",
    "é",
    "ß",
    "İ",
    "ﬁ",
    "日本",
    "हि",
]
PIECES = st.one_of(st.sampled_from(SYNTAX), st.text(max_size=12))
QUESTIONS = st.lists(PIECES, max_size=8).map(" ".join) | st.lists(PIECES, max_size=6).map("".join)


async def ask_each(path: Path, questions: list[str]) -> None:
    async with Memory.open(path) as memory:
        await memory.remember("a text beside it", [("Ada", "writes to", "Charles")])
        for place, question in enumerate(questions):
            for strategy in ("expand", "ppr", "hybrid"):
                await memory.recall(question, strategy=strategy, kinds=["fact", "episode", "entity"])  # type: ignore[arg-type]
            text = f"{question} zebra{place}".replace("\0", " ")
            kept = await memory.remember(text)
            found = await memory.recall(f"zebra{place} {question}", kinds=["episode"], limit=100)
            assert kept.episode in [hit.item for hit in found], question
            assert len(found.to_prompt(50)) <= 4 * 50 + 3


@pytest.mark.parametrize(
    "examples", [8, pytest.param(250, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])], ids=["160", "5000"]
)
def test_any_text_is_a_question(tmp_path_factory: pytest.TempPathFactory, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(questions=st.lists(QUESTIONS, min_size=20, max_size=20))
    def ask(questions: list[str]) -> None:
        aiomemdb.run(ask_each(tmp_path_factory.mktemp("any") / "memory.db", questions))

    ask()
