"""The page of a memory on PostgreSQL: what is PostgreSQL's own of that."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb import Memory, Statement
from aiomemdb.memory.pictures import PictureQuery
from aiomemdb.memory.stores.postgres.asking import Asking
from aiomemdb.memory.stores.postgres.statements import Statement as Asked
from aiomemdb.memory.transferring import transfer
from tests.memory.support import AngleEmbedder, day

NEAR = AngleEmbedder(ada=0, lady_ada=20)


async def _filled(memory: Memory) -> None:
    for number in range(30):
        begin = None if number % 3 == 0 else day(number)
        await memory.remember(
            f"{'x' * 900 * (number % 4)} Ann saw roe {number}. {'y' * 900}",
            [
                Statement(
                    subject=f"n{number}",
                    predicate="Links To",
                    object=f"n{number * 7 % 13}",
                    valid_at=begin,
                    confidence=1 / 3,
                ),
                Statement(
                    subject="Ada",
                    predicate="saw",
                    value=[number, "roe", 0.5, True][number % 4],
                    quote=f"roe {number}" if number % 2 else None,
                    replace=True,
                ),
            ],
            key=f"k{number % 20}",
            session="s",
            occurred_at=begin,
            replace=True,
            mentions=["Lady Ada"],
        )
    ada = await memory.entity("Ada")
    assert ada is not None
    await memory.add_alias(ada, "Countess")
    await memory.add_alias(ada, "Byron's daughter")
    await memory.add_fact("ADA", "says", value="v" * 5000)
    same = await memory.find_or_create_entity("A. King", "person", "d" * 900)
    await memory.add_fact(same, "knows", "Ben")
    await memory.update_entity(ada, attributes={"born": 1815})
    await memory.merge(ada, same)
    await memory.retract((await memory.facts("n15"))[0])
    gone = await memory.find_or_create_entity("gone")
    await memory.forget(gone)
    await memory.scoped(namespace="team").remember("Cleo met Dan.", [("Cleo", "met", "Dan")])
    await memory.scoped(namespace="secret").add_fact("Eve", "hides", "Key")


async def _seen(target: str | Path) -> list[Any]:
    """What its pages show: all of it, too much of it, what is around an entity, and single rows."""
    async with Memory.open(target, embedder=NEAR) as memory:
        store, spaces = memory._core.store, ["default", "team"]
        eve = (await memory.scoped(namespace="secret").facts())[0]
        [n4, ada, merged] = [await memory.entity(name) for name in ("n4", "Ada", "A. King")]
        assert n4 is not None and ada is not None and merged is not None
        facts, texts = await memory.facts(limit=3), await memory.episodes(limit=3)
        of_rows = {"facts": [*(one.id for one in facts), eve.id], "texts": [one.id for one in texts]}
        queries = [
            *(PictureQuery(None, 1, limit, mentions=mentions) for limit, mentions in ((2000, 12), (9, 1))),
            *(PictureQuery([id], hops, 9) for id in (n4.id, ada.id, eve.subject) for hops in (1, 2)),
            PictureQuery([n4.id], 0, 2000, **of_rows),
        ]
        pictures = [await store.picture(of, query) for query in queries for of in (spaces, spaces[:1], ["nothing"])]
        return [json.loads(picture.to_json()) for picture in pictures]


async def test_a_memory_that_was_moved_from_a_file_has_the_same_pages(url: str, tmp_path: Path) -> None:
    async with Memory.open(tmp_path / "agent.db", embedder=NEAR, agent="ann") as memory:
        await _filled(memory)
    async with aiomemdb.connect(tmp_path / "agent.db") as one, aiomemdb.connect(url) as other:
        await transfer(one, other)
    before, after = await _seen(tmp_path / "agent.db"), await _seen(url)
    first = before[0]
    assert all(first[rows] for rows in first["fields"])
    assert any(row[first["fields"]["episodes"].index("begin")] for row in first["episodes"])
    for one_page, other_page in zip(before, after, strict=True):
        assert one_page == other_page


async def test_a_page_of_many_rows_takes_no_more_round_trips(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trips: list[int] = []
    ask = Asking.all

    async def counted(self: Asking, statements: Sequence[Asked]) -> Any:
        trips.append(len(statements))
        return await ask(self, statements)

    async with Memory.open(url) as memory:
        counts = []
        for count in (1, 60):
            for number in range(count):
                await memory.remember(f"Ann saw roe {number}. {'y' * 3000}", [("Ann", "saw", f"roe {number}")])
            [ann] = [entity.id for entity in await memory.entities() if entity.name == "Ann"]
            with monkeypatch.context() as patched:
                patched.setattr(Asking, "all", counted)
                for query in (PictureQuery(None, 1, 100), PictureQuery([ann], 1, 100)):
                    trips.clear()
                    picture = await memory._core.store.picture(["default"], query)
                    counts.append([*trips])
            assert len(picture.episodes) >= min(count, 12)
    assert counts[:2] == counts[2:]


async def test_the_newest_are_those_by_the_clock_and_not_by_their_ids(url: str) -> None:
    async with Memory.open(url) as one, Memory.open(url) as other:  # ids of each are a range of its own
        await one.add_fact("first", "links", "second")
        for number in range(9):
            await other.add_fact(f"hub {number % 2}", "links", f"leaf {number}")
        last = await one.add_fact("last", "links", "first")
        assert last.id < max(fact.id for fact in await one.facts())
        picture = await one._core.store.picture(["default"], PictureQuery(None, 1, 4))
    assert "last" in [entity[2] for entity in picture.entities]
