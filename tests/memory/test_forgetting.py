"""What is forgotten is hidden at once, and deleted in slices by a process that has the file open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aiomemdb import Entity, Episode, Fact, Forgotten, Memory, NotFound, Statement
from aiomemdb.memory.stores.sqlite import forgetting
from tests.memory.conftest import assert_sound
from tests.memory.support import SpellingEmbedder
from tests.support.plain import plain

TABLES = ("entity", "entity_alias", "entity_similar", "episode", "mention", "fact", "fact_evidence", "vector")


def rows(path: Path) -> dict[str, int]:
    return {table: plain(path, f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}


async def dies(*_: Any) -> Forgotten:
    """In place of ``_delete``: the process ends after the job that hides."""
    return Forgotten()


async def fill(memory: Memory) -> tuple[Entity, Fact, Episode]:
    """An entity with 30 facts, one of them retracted, a fact said by 30 texts, and a text with 30 facts; another text
    says one of these too.
    """
    facts: list[Any] = [("Ann Lee", "met", f"guest {n}") for n in range(15)]
    facts += [(f"guest {n}", "paid", "Ann Lee") for n in range(15)]
    said = await memory.remember("Ann Lee has guests", facts)
    await memory.retract(said.facts[3], "it was another")
    for n in range(30):
        one = await memory.remember(
            f"again, {n}", [Statement(subject="Rome", predicate="is", object="old", quote="yes")]
        )
    text = await memory.remember("all about dogs", [("dog", "eats", f"food {n}") for n in range(30)])
    await memory.remember("more about dogs", [("dog", "eats", "food 0")])
    ann = await memory.entity("Ann Lee")
    assert ann is not None
    return ann, one.facts[0], text.episode


async def sweep(path: Path) -> None:
    async with Memory.open(path, embedder=SpellingEmbedder()) as memory:
        assert memory._core._sweeping is not None
        await memory._core._sweeping
    assert_sound(path)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["entity", "fact", "text"])
async def test_what_is_forgotten_is_hidden_at_once_and_a_process_that_dies_meanwhile_leaves_the_rest_to_the_next(
    db_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: int
) -> None:
    monkeypatch.setattr(forgetting, "_SLICE", 7)
    swept = []
    for path, dying in ((tmp_path / "whole.db", False), (db_path, True)):
        async with Memory.open(path, embedder=SpellingEmbedder()) as memory:
            target = (await fill(memory))[which]
            if dying:
                monkeypatch.setattr(memory._core.store, "delete", dies)
            await memory.forget(target)
            with pytest.raises(NotFound):
                await memory.forget(target)
            found: list[Any] = [
                await memory.entity("Ann Lee") is None,
                [fact.id for fact in await memory.facts()],
                [episode.id for episode in await memory.episodes()],
                {(hit.kind, hit.item.id) for hit in await memory.recall("Ann Lee, guest, old Rome, dogs", limit=999)},
                await memory.history(target),
                [await memory.evidence(fact) for fact in await memory.facts()],
            ]
            counts = await memory.counts()
        found[4:] = [{e.reason for e in found[4]}, [len(e) for e in found[5]], counts.facts]
        swept.append(found)
    for whole, died in zip(*swept, strict=True):
        assert whole == died
    assert rows(db_path) != rows(tmp_path / "whole.db")
    await sweep(db_path)
    assert rows(db_path) == rows(tmp_path / "whole.db")
    events = "SELECT operation, kind, ref, other, reason FROM memory_event ORDER BY kind, ref, id"
    assert plain(db_path, events) == plain(tmp_path / "whole.db", events)


@pytest.mark.sqlite_only
async def test_others_get_their_turns_while_much_is_deleted(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "_SLICE", 7)
    ann, _, _ = await fill(memory)
    writes = memory._core.db.statistics().writes
    assert await memory.forget(ann) == Forgotten(entities=1, aliases=1, facts=30, evidence=30, mentions=1)
    assert memory._core.db.statistics().writes - writes > 60 // 7


@pytest.mark.sqlite_only
async def test_what_little_there_is_goes_in_one_job(memory: Memory) -> None:
    fact = await memory.add_fact("Ann", "met", "Bob")
    writes = memory._core.db.statistics().writes
    await memory.forget(fact)
    assert memory._core.db.statistics().writes - writes == 1
    assert await memory._core.db.read_value("SELECT count(*) FROM memory_namespace") == 1


async def test_what_a_forgotten_text_said_can_be_said_anew_while_its_rows_wait(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Memory.open(db_path) as memory:
        monkeypatch.setattr(forgetting, "_SLICE", 0)
        monkeypatch.setattr(memory._core.store, "delete", dies)
        old = await memory.remember("Ann met Bob", [("Ann", "met", "Bob")], key="k", session="s")
        await memory.forget(old.episode)
        new = await memory.remember("Ann met Bob", [("Ann", "met", "Bob")], key="k", session="s")
        assert new.created and new.facts[0].id != old.facts[0].id
        assert await memory.facts() == list(new.facts)
        monkeypatch.undo()
    await sweep(db_path)
    assert plain(db_path, "SELECT id FROM fact") == [(new.facts[0].id,)]


async def test_a_text_remembered_again_does_not_bring_back_what_waits_to_be_deleted(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Memory.open(db_path) as memory:
        monkeypatch.setattr(forgetting, "_SLICE", 0)
        monkeypatch.setattr(memory._core.store, "delete", dies)
        text = await memory.remember("Ann met Bob", [("Ann", "met", "Bob")], key="k")
        await memory.forget(text.entities[0])
        again = await memory.remember("Ann met Bob", key="k")
        assert (again.facts, [entity.name for entity in again.entities]) == ((), ["Bob"])
        monkeypatch.undo()
    await sweep(db_path)


@pytest.mark.parametrize("backwards", [False, True])
async def test_what_belongs_together_may_be_forgotten_apart_and_deleted_in_any_order(
    db_path: Path, monkeypatch: pytest.MonkeyPatch, backwards: bool
) -> None:
    """Each waits in a hidden namespace of its own, and its rows refer to those of the others."""
    async with Memory.open(db_path, embedder=SpellingEmbedder()) as memory:
        monkeypatch.setattr(forgetting, "_SLICE", 0)
        delete = memory._core.store.delete  # type: ignore[attr-defined]
        monkeypatch.setattr(memory._core.store, "delete", dies)
        text = await memory.remember("Ann met Bob in Rome", [("Ann", "met", "Bob"), ("Ann", "was in", "Rome")])
        await memory.remember("Ann met Bob", [("Ann", "met", "Bob"), ("Bob", "knows", "Rome")])
        for target in (text.facts[0], text.entities[0], text.episode, text.entities[1]):
            await memory.forget(target)
        assert await memory.forget_namespace() == Forgotten()
        monkeypatch.setattr(forgetting, "_SLICE", 2)
        hidden = await memory._core.db.read_fn(forgetting.forgotten_namespaces)
        assert len(hidden) == 5
        for namespace in sorted(hidden, reverse=backwards):
            await delete(namespace)
    assert_sound(db_path)
    assert set(rows(db_path).values()) == {0}
    assert plain(db_path, "SELECT key FROM memory_meta WHERE key LIKE 'forgotten%'") == []
    assert plain(db_path, "SELECT id FROM memory_namespace") == []
