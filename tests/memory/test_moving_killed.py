"""An import that is cut short leaves whole documents, and goes on when it is run again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aiomemdb import Document, Memory
from aiomemdb.formats.rows import EntityRow, EpisodeRow, EvidenceRow, FactRow, Row
from aiomemdb.memory.bringing_in import Packer
from tests.memory.conftest import Target, assert_whole
from tests.memory.killed import kill_again_and_again

IMPORTER = """
    import sys, aiomemdb

    async def main():
        async with aiomemdb.Memory.open(sys.argv[1]) as memory:
            print("0", flush=True)
            await memory.import_(sys.argv[2], progress=lambda done, total: print(done, flush=True))

    aiomemdb.run(main())
"""


def documents(count: int) -> Iterator[Document]:
    for n in range(count):
        facts = [(f"N {n} {f}", "belongs to", f"document {n}") for f in range(9)]
        # Each second one has no key: what is there of it is known by its time and its text.
        yield Document(content=f"document {n}", key=f"k {n}" if n % 2 else None, facts=facts, mentions=["everybody"])


@pytest.mark.engines_only
@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(1, marks=pytest.mark.timeout(600)),
        pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
)
async def test_a_killed_import_leaves_whole_documents_and_goes_on_when_run_again(
    target: Target, tmp_path: Path, kills: int
) -> None:
    count, source = 100 + 30 * kills, tmp_path / "source.jsonl"
    async with Memory.open(tmp_path / "source.db") as memory:
        await memory.remember_many(documents(count))
        await memory.export(source)
    # Of each text: itself, nine facts, and its ten entities.
    met = kill_again_and_again(IMPORTER, target, source, kills=kills, below=20 * count)
    assert met >= kills // 3
    async with Memory.open(target) as memory:
        await memory.export(tmp_path / "copy.jsonl")
    assert (tmp_path / "copy.jsonl").read_bytes() == source.read_bytes()
    assert_whole(target)


# -- packing -----------------------------------------------------------------------------------------------------------


def text(number: int) -> EpisodeRow:
    return EpisodeRow(number=number, namespace="n", content="x", created_at=1, known_from=1)


def fact(number: int, of: int | None) -> FactRow:
    evidence = [EvidenceRow(episode=of, created_at=1)]
    return FactRow(
        number=number,
        namespace="n",
        subject=1,
        predicate="p",
        value="1",
        text="t",
        created_at=1,
        known_from=1,
        evidence=evidence,
    )


def packed(rows: list[Row], size: float) -> list[list[Row]]:
    packer = Packer(iter(rows))
    found = []
    while some := packer.pack(size):
        found.append(some)
    assert [row for some in found for row in some] == rows
    return found


def test_a_text_and_the_facts_drawn_from_it_are_never_apart() -> None:
    one: list[Row] = [text(1), *(fact(n, 1) for n in range(1, 8)), EvidenceRow(fact=1, episode=1, created_at=1)]
    other: list[Row] = [text(2), fact(8, 2), fact(9, 2)]
    assert packed([*one, *other], size=2) == [one, other]


def test_facts_of_no_text_may_be_apart() -> None:
    assert [len(some) for some in packed([text(1), *(fact(n, None) for n in range(1, 8))], size=2)] == [2, 2, 2, 2]


def test_what_speaks_of_rows_comes_after_their_job() -> None:
    entity = EntityRow(number=1, namespace="n", name="a", key="a", created_at=1, known_from=1, established=1)
    merged = EntityRow(
        number=2, namespace="n", name="b", key="b", created_at=1, known_from=1, established=1, merged_into=1
    )
    assert [len(some) for some in packed([entity, merged, text(1)], size=100)] == [1, 1, 1]
