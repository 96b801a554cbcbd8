"""Texts, with their facts, in one job; said again, replaced, in the order of their session."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from aiomemdb import EpisodeExists, Memory, Name, NotFound, Statement
from tests.memory.conftest import Target, assert_sound
from tests.memory.support import AnsweringEmbedder, SpellingEmbedder, day

TEXT = "Ann met Bob in Rome."
FACTS = [("Ann", "met", "Bob"), Statement(subject="ann", predicate="was in", object="Rome", quote="in Rome")]


async def test_a_text_its_facts_and_its_mentions_come_back(memory: Memory) -> None:
    agent = memory.scoped(agent="mail")
    stored = await agent.remember(
        TEXT,
        FACTS,
        mentions=["Carl", Name("Rome", "city")],
        key="m1",
        session="inbox",
        source="imap",
        occurred_at=day(1),
        metadata={"to": ["bob"], "n": 1},
    )
    assert stored.created
    assert [fact.text for fact in stored.facts] == ["Ann met Bob", "ann was in Rome"]
    assert [entity.name for entity in stored.entities] == ["Ann", "Bob", "Rome", "Carl"]
    assert stored.entities[2].type == "city"  # Rome of the fact and Rome of the mention are one
    episode = stored.episode
    assert (episode.content, episode.agent, episode.source, episode.seq) == (TEXT, "mail", "imap", 1)
    assert (episode.occurred_at, episode.metadata) == (day(1), {"to": ["bob"], "n": 1})
    assert await memory.episode(key="m1") == await memory.episode(episode.id) == episode
    [evidence] = await memory.evidence(stored.facts[1])
    assert (evidence.episode, evidence.quote, evidence.agent) == (episode.id, "in Rome", "mail")
    assert (await memory.counts()).mentions == 4


@pytest.mark.sqlite_only
async def test_a_document_is_one_job(memory: Memory) -> None:
    writes = memory._core.db.statistics().writes
    await memory.remember(TEXT, FACTS)
    assert memory._core.db.statistics().writes == writes + 1


@pytest.mark.sqlite_only
async def test_documents_that_wait_together_are_few_jobs(memory: Memory) -> None:
    writes = memory._core.db.statistics().writes
    await asyncio.gather(*(memory.remember(f"text {n}", FACTS, session="s") for n in range(50)))
    assert memory._core.db.statistics().writes <= writes + 3
    assert [episode.content for episode in await memory.episodes(session="s")] == [f"text {n}" for n in range(50)]


async def test_a_document_that_fails_among_others_fails_alone(memory: Memory) -> None:
    await memory.remember("text", key="k 3")
    outcomes = await asyncio.gather(
        *(memory.remember(f"text {n}", FACTS, key=f"k {n}") for n in range(6)), return_exceptions=True
    )
    assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, EpisodeExists)] == [3]
    assert (await memory.counts()).episodes == 6


async def test_a_call_cancelled_before_its_job_never_runs(memory: Memory) -> None:
    calls = [asyncio.create_task(memory.add_episode(f"text {n}")) for n in range(3)]
    await asyncio.sleep(0)
    calls[1].cancel()
    await asyncio.wait(calls)
    assert [episode.content for episode in await memory.episodes()] == ["text 0", "text 2"]


async def test_a_fact_twice_in_one_document_is_one(memory: Memory) -> None:
    stored = await memory.remember(TEXT, [("Ann", "met", "Bob"), ("ANN", "met", "bob"), ("Ann", "met", "Rome")])
    assert stored.facts[0] == stored.facts[1] != stored.facts[2]
    assert (await memory.counts()).facts == 2


async def test_a_fact_that_was_believed_gets_the_texts_evidence(memory: Memory) -> None:
    fact = await memory.add_fact("Ann", "met", "Bob")
    stored = await memory.remember(TEXT, FACTS)
    assert stored.facts[0] == fact
    assert [evidence.episode for evidence in await memory.evidence(fact)] == [None, stored.episode.id]


async def test_facts_of_a_document_may_supersede_each_other(memory: Memory) -> None:
    await memory.remember(
        "Ann moved.",
        [
            Statement(subject="Ann", predicate="lives in", object="Rome", valid_at=day(0), replace=True),
            Statement(subject="Ann", predicate="lives in", object="Oslo", valid_at=day(9), replace=True),
        ],
    )
    assert [fact.text for fact in await memory.facts("Ann", as_of=day(5))] == ["Ann lives in Rome"]
    assert [fact.text for fact in await memory.facts("Ann")] == ["Ann lives in Oslo"]


@pytest.mark.sqlite_only
@pytest.mark.parametrize("where", ["fact_evidence", "mention", "memory_event"])
async def test_what_fails_late_leaves_nothing_of_it(memory: Memory, where: str) -> None:
    await memory._core.db.write_script(
        f"CREATE TRIGGER fail AFTER INSERT ON {where} BEGIN SELECT raise(ABORT, 'no more'); END"
    )
    before = await memory.counts()
    with pytest.raises(sqlite3.IntegrityError, match="no more"):
        await memory.remember(TEXT, FACTS)
    assert await memory.counts() == before
    await memory._core.db.write_script("DROP TRIGGER fail")


async def test_an_evidencing_text_must_be_of_this_namespace(memory: Memory) -> None:
    other = await memory.scoped(namespace="team").add_episode(TEXT)
    with pytest.raises(NotFound):
        await memory.add_fact("Ann", "met", "Bob", evidence=other)
    assert (await memory.counts()).entities == 0
    own = await memory.add_episode(TEXT)
    fact = await memory.add_fact("Ann", "met", "Bob", evidence=own, quote="met Bob")
    assert [evidence.episode for evidence in await memory.evidence(fact)] == [own.id]
    assert (await memory.counts()).mentions == 2


# -- once more ---------------------------------------------------------------------------------------------------------


async def test_the_same_text_again_changes_nothing(memory: Memory) -> None:
    first = await memory.remember(TEXT, FACTS, key="m1")
    counts = await memory.counts()
    again = await memory.remember(TEXT, FACTS, key="m1", replace=True)
    assert (again.created, again.episode, again.facts) == (False, first.episode, first.facts)
    assert {entity.id for entity in again.entities} == {entity.id for entity in first.entities}
    assert await memory.counts() == counts


async def test_the_same_text_again_adds_the_facts_that_it_did_not_have(memory: Memory) -> None:
    first = await memory.remember(TEXT, [("Ann", "met", "Bob")], key="m1", metadata={"n": 1})
    again = await memory.remember(TEXT, [("Ann", "was in", "Rome")], mentions=["Carl"], key="m1", metadata={"n": 2})
    assert (again.created, again.episode) == (False, first.episode)
    assert [fact.text for fact in again.facts] == ["Ann met Bob", "Ann was in Rome"]  # what it said before stays
    assert [entity.name for entity in again.entities] == ["Ann", "Bob", "Rome", "Carl"]
    [evidence] = await memory.evidence(again.facts[1])
    assert evidence.episode == first.episode.id
    assert await memory.episodes() == [first.episode]


async def test_facts_added_to_a_text_have_vectors(db_path: Path) -> None:
    async with Memory.open(db_path, embedder=SpellingEmbedder()) as memory:
        await memory.remember(TEXT, [("Ann", "met", "Bob")], key="m1")
        await memory.remember(TEXT, [("Ann", "was in", "Rome")], key="m1")
        counts = await memory.counts()
        assert counts.vectors == counts.entities + counts.facts + counts.episodes == 6
    assert_sound(db_path)


async def test_a_fact_that_another_text_said_gets_the_evidence_of_one_that_says_it_later(memory: Memory) -> None:
    await memory.add_episode(TEXT, key="m1")
    other = await memory.remember("Ann knows Bob.", [("Ann", "met", "Bob")])
    again = await memory.remember(TEXT, [("Ann", "met", "Bob")], key="m1")
    assert again.facts == other.facts
    assert [one.episode for one in await memory.evidence(other.facts[0])] == [other.episode.id, again.episode.id]


async def test_a_fact_that_two_agents_drew_from_one_text_comes_back_once(memory: Memory) -> None:
    first = await memory.remember(TEXT, [("Ann", "met", "Bob")], key="m1")
    await memory.scoped(agent="another").add_fact("Ann", "met", "Bob", evidence=first.episode)
    assert (await memory.remember(TEXT, key="m1")).facts == first.facts


@pytest.mark.sqlite_only
async def test_the_same_text_again_leaves_no_event(memory: Memory) -> None:
    await memory.remember(TEXT, FACTS, mentions=["Carl"], key="m1")
    events = "SELECT (SELECT count(*) FROM memory_event), (SELECT count(*) FROM fact_evidence)"
    before = await memory.db.read(events)
    await memory.scoped(agent="another").remember(TEXT, FACTS, mentions=["Carl"], key="m1")
    assert await memory.db.read(events) == before


async def test_the_same_text_again_does_not_bring_back_what_was_retracted(memory: Memory) -> None:
    first = await memory.remember(TEXT, FACTS, key="m1")
    await memory.retract(first.facts[0])
    again = await memory.remember(TEXT, [*FACTS, ("Ann", "knows", "Bob")], key="m1")
    assert [fact.text for fact in again.facts] == ["ann was in Rome", "Ann knows Bob"]


async def test_the_same_text_again_does_not_supersede_what_superseded_it(memory: Memory) -> None:
    moved = [Statement(subject="Ann", predicate="lives in", object="Rome", replace=True)]
    await memory.remember("Ann lives in Rome.", moved, key="m1")
    await memory.add_fact("Ann", "lives in", "Oslo", replace=True)
    await memory.remember("Ann lives in Rome.", moved, key="m1")
    assert [fact.text for fact in await memory.facts("Ann")] == ["Ann lives in Oslo"]


async def test_the_same_text_again_does_not_undo_a_merge(memory: Memory) -> None:
    first = await memory.remember(TEXT, [("Ann", "met", "Bob"), ("Robert", "met", "Bob")], key="m1")
    bob, robert = first.entities[1], first.entities[2]
    assert (bob.name, robert.name) == ("Bob", "Robert")
    await memory.merge(bob, robert)
    again = await memory.remember(TEXT, [("Ann", "met", "Bob"), ("Robert", "met", "Bob")], key="m1")
    assert again.facts == (first.facts[0],)  # Bob has not met himself


async def test_the_same_text_again_with_another_end_of_a_fact_corrects_it(memory: Memory) -> None:
    def until(end: int | None) -> list[Statement]:
        invalid_at = None if end is None else day(end)
        return [Statement(subject="Ann", predicate="is in", object="Rome", valid_at=day(0), invalid_at=invalid_at)]

    for end, found in ((None, None), (5, day(5)), (None, day(5)), (5, day(5)), (9, day(9))):
        again = await memory.remember(TEXT, until(end), key="m1")
        assert [fact.invalid_at for fact in again.facts] == [found]


async def test_many_at_once_add_each_its_fact_to_one_text(memory: Memory) -> None:
    await asyncio.gather(*(memory.remember(TEXT, [("Ann", "met", f"Bob {n}")], key="m1") for n in range(10)))
    assert len(await memory.facts("Ann", "met")) == 10
    assert (await memory.counts()).episodes == 1


async def test_many_at_once_store_one_text(memory: Memory) -> None:
    stored = await asyncio.gather(*(memory.remember(TEXT, FACTS, key="m1") for _ in range(10)))
    assert sum(one.created for one in stored) == 1
    assert (await memory.counts()).episodes == 1


async def test_another_text_under_its_key_is_an_error(memory: Memory) -> None:
    await memory.remember(TEXT, key="m1")
    with pytest.raises(EpisodeExists, match="replace=True"):
        await memory.remember("Ann met Carl.", [("Ann", "met", "Carl")], key="m1")
    assert await memory.entity("Carl") is None


async def test_replace_keeps_the_old_version_and_expires_what_it_alone_said(memory: Memory) -> None:
    direct = await memory.add_fact("Bob", "is", "tall")
    old = await memory.remember(TEXT, [*FACTS, ("Bob", "is", "tall")], key="m1")
    new = await memory.remember("Ann met Bob in Oslo.", [("Ann", "met", "Bob")], key="m1", replace=True)
    assert (new.episode.version, new.facts[0].id) == (2, old.facts[0].id)
    superseded = await memory.episode(old.episode.id)
    assert superseded is not None and superseded.expired_at == new.episode.created_at
    assert await memory.episode(key="m1") == new.episode
    assert await memory.episodes() == [new.episode]
    believed = {fact.id for fact in await memory.facts()}
    assert believed == {old.facts[0].id, direct.id}  # "was in Rome" was said by the old version alone
    expired = await memory.fact(old.facts[1].id)
    assert expired is not None and expired.expired_at == new.episode.created_at


async def test_texts_without_a_key_are_never_the_same(memory: Memory) -> None:
    one, other = await memory.add_episode(TEXT), await memory.add_episode(TEXT)
    assert one.id != other.id


# -- sessions ----------------------------------------------------------------------------------------------------------


async def test_a_session_counts_its_texts(memory: Memory) -> None:
    for text in ("one", "two"):
        await memory.add_episode(text, session="s")
    await memory.add_episode("elsewhere", session="t")
    await memory.add_episode("far behind", session="s", seq=10)
    await memory.add_episode("between", session="s", seq=5)
    last = await memory.add_episode("last", session="s")
    assert last.seq == 11
    found = await memory.episodes(session="s")
    assert [(episode.seq, episode.content) for episode in found] == [
        (1, "one"),
        (2, "two"),
        (5, "between"),
        (10, "far behind"),
        (11, "last"),
    ]


async def test_a_corrected_text_stays_in_its_place(memory: Memory) -> None:
    for n in range(1, 4):
        await memory.add_episode(f"text {n}", key=f"k {n}", session="s")
    corrected = await memory.add_episode("text two", key="k 2", session="s", replace=True)
    assert corrected.seq == 2
    assert [episode.content for episode in await memory.episodes(session="s")] == ["text 1", "text two", "text 3"]
    moved = await memory.add_episode("text three", key="k 3", session="t", replace=True)
    assert (moved.session, moved.seq) == ("t", 1)


class HeldEmbedder(SpellingEmbedder):
    """Each call is held until the test sets its event."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[asyncio.Event] = []

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        self.held.append(asyncio.Event())
        await self.held[-1].wait()
        return await super().embed(texts)

    async def wait_held(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.held) < count:  # noqa: ASYNC110
                await asyncio.sleep(0)


async def test_calls_of_one_session_keep_their_order_while_embedding_is_awaited(db_path: Path) -> None:
    embedder = HeldEmbedder()
    async with Memory.open(db_path, embedder=embedder) as memory:
        calls = [asyncio.create_task(memory.add_episode(f"text {n}", session="s")) for n in range(6)]
        await embedder.wait_held(6)
        for held in reversed(embedder.held):
            held.set()
            await asyncio.sleep(0)
        assert [episode.seq for episode in await asyncio.gather(*calls)] == [1, 2, 3, 4, 5, 6]
        assert not memory._core._last_in_session
    assert_sound(db_path)


async def test_a_cancelled_text_leaves_the_order_of_the_others(target: Target) -> None:
    embedder = HeldEmbedder()
    async with Memory.open(target, embedder=embedder) as memory:
        calls = [asyncio.create_task(memory.add_episode(f"text {n}", session="s")) for n in range(4)]
        await embedder.wait_held(4)
        cancelled = calls.pop(1)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        for held in embedder.held[1:]:
            held.set()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not any(call.done() for call in calls)  # all of them wait for the first
        embedder.held[0].set()
        assert [episode.seq for episode in await asyncio.gather(*calls)] == [1, 2, 3]
        assert [episode.content for episode in await memory.episodes()] == ["text 0", "text 2", "text 3"]
        assert not memory._core._last_in_session


async def test_an_embedder_that_fails_writes_nothing_and_stops_no_session(db_path: Path) -> None:
    failures = [RuntimeError("no model")]

    def answer(right: list[list[float]]) -> list[list[float]]:
        if failures:
            raise failures.pop()
        return right

    async with Memory.open(db_path, embedder=AnsweringEmbedder(answer)) as memory:
        with pytest.raises(RuntimeError, match="no model"):
            await memory.remember(TEXT, FACTS, session="s")
        assert (await memory.counts()).entities == 0
        assert (await memory.remember(TEXT, FACTS, session="s")).episode.seq == 1
        counts = await memory.counts()
        assert counts.vectors == counts.entities + counts.facts + counts.episodes == 6
    assert_sound(db_path)
