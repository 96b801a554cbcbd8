"""A memory is moved from one engine to the other and back: it is the same memory, ids and all."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import aiomemdb
from aiomemdb import Memory
from aiomemdb.cli.app import app
from aiomemdb.memory import transferring
from aiomemdb.memory.transferring import transfer
from tests.memory import on_postgres
from tests.memory.conftest import assert_sound
from tests.memory.support import SpellingEmbedder, day
from tests.support import postgres


async def _filled(target: str | Path) -> None:
    async with Memory.open(target, embedder=SpellingEmbedder()) as memory:
        made = await memory.remember(
            "Ann grows white roses",
            [("Ann", "grows", "roses"), ("Ann", "LIVES IN", "Paris")],
            key="k",
            session="s",
            occurred_at=day(3),
            source="Ann",
        )
        await memory.remember("Ann grows red roses", [("Ann", "grows", "red roses")], key="k", replace=True)
        await memory.add_fact("Ann", "is", value=41, valid_at=day(1), replace=True, confidence=1 / 3)
        await memory.add_fact("Ann", "is", value=42, valid_at=day(9), replace=True)
        await memory.add_alias(made.entities[0], "Annie")
        other = await memory.find_or_create_entity("Anna")
        await memory.merge(made.entities[0], other)
        gone = await memory.find_or_create_entity("gone")
        await memory.forget(gone)
        await memory.scoped(namespace="n").remember("東京タワー", [("Eve", "saw", "東京タワー")])
        lost = memory.scoped(namespace="lost")
        await lost.remember("lost", [("a", "b", "c")])
        await lost.forget_namespace()


async def _seen(target: str | Path) -> list[Any]:
    """All that questions show of it."""
    seen: list[Any] = []
    async with Memory.open(target, embedder=SpellingEmbedder()) as memory:
        for name in ("default", "n", "lost"):
            view = memory.scoped(namespace=name)
            entities, facts = [*await view.entities()], [*await view.facts()]
            seen += [await view.counts(), entities, facts, [*await view.episodes()]]
            seen += [[*await view.history(one)] for one in (*entities, *facts)]
            seen += [[*await view.evidence(fact)] for fact in facts]
            for question in ("white roses of Annie", "東京", "Ann grows"):
                recalled = await view.recall(question, kinds=["fact", "episode", "entity"])
                seen.append([(hit.kind, hit.item, round(hit.score, 9)) for hit in recalled.hits])
    return seen


async def _move(source: str | Path, target: str | Path) -> dict[str, int]:
    async with aiomemdb.connect(source) as one, aiomemdb.connect(target) as other:
        return await transfer(one, other)


async def test_there_and_back_it_is_the_same_memory(url: str, tmp_path: Path) -> None:
    first, last = tmp_path / "first.db", tmp_path / "last.db"
    await _filled(first)
    before = await _seen(first)
    moved = await _move(first, url)
    assert moved["fact"] > 5 and moved["vector"] > 5 and moved["memory_namespace"] == 2
    assert await _seen(url) == before
    on_postgres.assert_sound(url)
    assert await _move(url, last) == moved
    assert await _seen(last) == before
    assert_sound(last)


async def test_what_is_written_afterwards_has_ids_of_its_own(url: str, tmp_path: Path) -> None:
    await _filled(tmp_path / "m.db")
    await _move(tmp_path / "m.db", url)
    async with Memory.open(url, embedder=SpellingEmbedder()) as memory:
        there = {entity.id for entity in await memory.entities()}
        made = await memory.remember("Joe met Ann", [("Joe", "met", "Ann"), ("Joe", "met", "Annie")])
        assert made.entities[0].id not in there and made.entities[1].id in there
        assert len(made.facts) == 2 and made.facts[0] == made.facts[1]
    on_postgres.assert_sound(url)


async def test_a_move_that_was_cut_short_is_no_memory_and_goes_on(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _filled(tmp_path / "m.db")
    monkeypatch.setattr(transferring, "_SLICE", 3)
    seen: list[str] = []

    def cut(table: str, done: int, of: int) -> None:
        seen.append(table)
        if table == "fact":
            raise KeyboardInterrupt

    async with aiomemdb.connect(tmp_path / "m.db") as one, aiomemdb.connect(url) as other:
        with pytest.raises(KeyboardInterrupt):
            await transfer(one, other, cut)
    with pytest.raises(ValueError, match="aiomemdb move SOURCE TARGET"):
        await Memory.open(url)
    seen.clear()
    async with aiomemdb.connect(tmp_path / "m.db") as one, aiomemdb.connect(url) as other:
        await transfer(one, other, lambda table, done, of: seen.append(table))
    assert seen[0] == "fact" and "entity" not in seen
    assert await _seen(url) == await _seen(tmp_path / "m.db")


async def test_another_source_does_not_go_on_where_one_was_cut_short(url: str, tmp_path: Path) -> None:
    await _filled(tmp_path / "m.db")

    def cut(table: str, done: int, of: int) -> None:
        raise KeyboardInterrupt

    async with aiomemdb.connect(tmp_path / "m.db") as one, aiomemdb.connect(url) as other:
        with pytest.raises(KeyboardInterrupt):
            await transfer(one, other, cut)
    async with Memory.open(tmp_path / "m.db", embedder=SpellingEmbedder()) as memory:
        await memory.add_fact("a", "b", "c")
    with pytest.raises(ValueError, match="as it was before"):
        await _move(tmp_path / "m.db", url)


async def test_a_row_that_arrives_otherwise_is_found(url: str, tmp_path: Path) -> None:
    await _filled(tmp_path / "m.db")

    def change(table: str, done: int, of: int) -> None:
        if table == "vector":
            postgres.execute(url, "UPDATE aiomemdb.fact SET text = text || ' ' WHERE id = 1")

    async with aiomemdb.connect(tmp_path / "m.db") as one, aiomemdb.connect(url) as other:
        with pytest.raises(aiomemdb.AiomemdbError, match="fact is not what the source has"):
            await transfer(one, other, change)
    with pytest.raises(ValueError, match="cut short"):
        await Memory.open(url)


async def test_a_nul_is_named_by_its_table_and_id(url: str, tmp_path: Path) -> None:
    await _filled(tmp_path / "m.db")
    with closing(sqlite3.connect(tmp_path / "m.db")) as conn, conn:
        conn.execute("UPDATE fact SET agent = 'a' || char(0) || 'b' WHERE id = 2")
    with pytest.raises(ValueError, match="fact 2 holds a NUL"):
        await _move(tmp_path / "m.db", url)


def test_the_command_moves_and_says_what_is_wrong(url: str, tmp_path: Path) -> None:
    import asyncio

    asyncio.run(_filled(tmp_path / "m.db"))
    run = CliRunner()
    done = run.invoke(app, ["move", str(tmp_path / "m.db"), url, "--json"])
    assert done.exit_code == 0 and json.loads(done.stdout)["entity"] > 3
    again = run.invoke(app, ["move", str(tmp_path / "m.db"), url])
    assert again.exit_code == 2 and "has a memory already" in again.output
    nothing = run.invoke(app, ["move", url.replace("tester@", "tester:secret@"), str(tmp_path / "m.db")])
    assert nothing.exit_code == 2 and "secret" not in nothing.output
