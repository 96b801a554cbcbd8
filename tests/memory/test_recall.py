"""recall: what is found, by what, along which links, at which time; and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb import EmbedderError, Entity, Episode, Fact, Hit, Memory, Recall
from aiomemdb.memory import rank
from aiomemdb.memory.deciding import recalling
from aiomemdb.memory.questions import When
from aiomemdb.memory.stores.sqlite import search
from aiomemdb.memory.times import now_micros, to_micros
from aiomemdb.memory.words import Asked
from aiomemdb.sqlite.connection.guard import Guard
from tests.memory.conftest import Target, assert_sound
from tests.memory.support import AngleEmbedder, AnsweringEmbedder, GatedEmbedder, SpellingEmbedder, day


def said(found: Recall) -> list[str]:
    """The words of each hit, best first."""
    words = []
    for hit in found:
        item = hit.item
        words.append(
            item.name if isinstance(item, Entity) else item.content if isinstance(item, Episode) else item.text
        )
    return words


def hit_of(found: Recall, words: str) -> Hit:
    return found.hits[said(found).index(words)]


# -- words


async def test_words_find_facts_and_texts_best_first(memory: Memory) -> None:
    await memory.remember("Tuesday, tea with Charles", [("Ada", "drinks tea with", "Charles")])
    await memory.remember("The white roses are in bloom")
    await memory.remember("roses, white roses, only white roses")
    found = await memory.recall("Who has white roses?", strategy="hybrid")
    assert said(found) == ["roses, white roses, only white roses", "The white roses are in bloom"]
    assert [hit.kind for hit in found] == ["episode", "episode"] and found.found == 2 and found.query.startswith("Who")
    assert found.hits[0].score == 1.0 > found.hits[1].score > 0
    assert found.hits[0].bm25 is not None and found.hits[0].similarity is None
    assert (found.hits[0].hops, found.hits[0].via, found.hits[0].evidence) == (0, (), ())


async def test_a_fact_comes_with_its_evidence(memory: Memory) -> None:
    letter = await memory.remember("I moved to Ockham", [("Ada", "lives in", "Ockham")])
    await memory.scoped(agent="census").add_fact("Ada", "lives in", "Ockham", confidence=0.9)
    found = await memory.recall("lives", kinds=["fact"])
    assert [(each.episode, each.agent) for each in found.hits[0].evidence] == [
        (letter.episode.id, None),
        (None, "census"),
    ]


@pytest.mark.parametrize(
    "query", ["it's", "C++", '"', '""', "NEAR(", "NEAR(roses, 2)", "*", "a:b", "content:roses", "{a b}: c", "^x", "🌹"]
)
async def test_query_syntax_means_itself(memory: Memory, query: str) -> None:
    await memory.remember("roses roses roses")
    kept = await memory.remember(f"zebra {query}")
    assert (await memory.recall(f"{query} zebra")).hits[0].item == kept.episode
    assert isinstance(await memory.recall(query), Recall)


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    "word", ['"', 'roses" OR "tulips', "roses OR tulips", "NEAR(roses)", "roses*", "content:roses", "AND"]
)
async def test_the_store_takes_words_for_words_whatever_they_hold(memory: Memory, word: str) -> None:
    await memory.remember("roses or tulips, whatever is near")
    await memory.remember("tulips")
    found = await memory._core.store.words(["default"], "episode", [Asked((word,))], When(now_micros()), 10)
    assert len(found.rows) == (1 if "OR" in word or word == "roses*" else 0)


@pytest.mark.parametrize("query", ["", "   ", "?!", "\0", "\ud800", "🌹", "-- ; DROP TABLE fact"])
async def test_a_question_without_known_words_finds_nothing(memory: Memory, query: str) -> None:
    await memory.remember("roses", [("Ada", "likes", "roses")])
    for strategy in ("expand", "ppr", "hybrid"):
        found = await memory.recall(query, strategy=strategy)  # type: ignore[arg-type]
        assert (found.hits, found.found) == ((), 0)


async def test_ten_thousand_words_are_a_question_too(memory: Memory) -> None:
    await memory.remember("roses")
    assert said(await memory.recall("roses " + " ".join(f"word{n}" for n in range(10_000)))) == ["roses"]


@pytest.mark.sqlite_only
async def test_of_words_in_very_many_rows_the_rarest_are_looked_for(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(6):
        await memory.remember(f"common {'rare' if n == 3 else ''} number {n}")
    ask = memory.recall
    assert len(await ask("common rare")) == 6
    monkeypatch.setattr(search, "_RANKED", 5)
    assert said(await ask("common rare")) == ["common rare number 3"]
    assert len(await ask("common")) == 6  # the rarest that there is


async def test_a_question_like_one_before_compiles_no_search(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[object] = []
    authorize = Guard.authorize

    def counting(self: Guard, action: int, of: str | None, *what: Any) -> int:
        if of in ("fact_search", "episode_search"):
            compiled.append((of, *what))
        return authorize(self, action, of, *what)

    monkeypatch.setattr(Guard, "authorize", counting)  # SQLite asks it where it compiles
    async with aiomemdb.connect(db_path, readers=1) as db, Memory.open(db) as memory:
        await memory.remember("Ada lives in London", [("Ada", "lives in", "London")])
        await memory.recall("Where does Ada live?")
        assert compiled
        compiled.clear()
        assert (await memory.recall("Who lives in London?")).hits
    assert not compiled


async def test_an_alias_in_the_question_finds_what_is_known_of_its_entity(memory: Memory) -> None:
    ada = await memory.find_or_create_entity("Ada Lovelace")
    await memory.add_alias(ada, "A. A. L.")
    await memory.add_fact(ada, "likes", "roses")
    await memory.remember("Charles asks for the plans", mentions=[ada])
    for strategy in ("expand", "ppr"):
        found = await memory.recall("What of A. A. L.?", strategy=strategy)  # type: ignore[arg-type]
        assert set(said(found)) == {"Ada Lovelace likes roses", "Charles asks for the plans"}
    assert said(await memory.recall("A. A. L.", kinds=["entity"], strategy="hybrid")) == ["Ada Lovelace"]


# -- vectors


async def test_vectors_find_what_words_do_not(target: Target) -> None:
    embedder = AngleEmbedder(flowers=10, roses=0, tulips=20, engines=80)
    async with Memory.open(target, embedder=embedder) as memory:
        for text in ("engines", "tulips", "roses"):
            await memory.remember(text)
        found = await memory.recall("flowers", strategy="hybrid")
    assert said(found)[2:] == ["engines"] and set(said(found)[:2]) == {"tulips", "roses"}
    assert [hit.bm25 for hit in found] == [None] * 3
    assert [round(hit.similarity or 0, 3) for hit in found] == [0.985, 0.985, 0.342]


async def test_what_words_and_vectors_find_stands_first(target: Target) -> None:
    embedder = AngleEmbedder(red_roses=0, roses=5, tulips=4, roses_of_iron=90)
    async with Memory.open(target, embedder=embedder) as memory:
        for text in ("roses of iron", "tulips", "roses"):
            await memory.remember(text)
        found = await memory.recall("red roses", strategy="hybrid")
        assert said(found)[0] == "roses"
        assert found.hits[1].score < 0.7 * found.hits[0].score


async def test_vectors_that_are_believed_no_more_do_not_crowd_out_the_others(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recalling, "CANDIDATES", 3)
    angles = {f"text_{n}": float(n) for n in range(20)}
    async with Memory.open(target, embedder=AngleEmbedder(query=0, last=80, **angles)) as memory:
        await memory.remember("last", key="last")
        for n in range(20):
            await memory.remember(f"text {n}", key="text", replace=n > 0)
        assert said(await memory.recall("query", strategy="hybrid")) == ["text 19", "last"]


async def test_an_embedder_that_fails_is_told_to_the_caller(target: Target) -> None:
    async with Memory.open(target) as memory:
        await memory.remember("roses")
    async with Memory.open(target, embedder=AnsweringEmbedder(lambda vectors: vectors[1:])) as memory:
        with pytest.raises(EmbedderError):
            await memory.recall("roses")


async def test_an_embedder_gets_a_text_whatever_the_question_holds(target: Target) -> None:
    embedder = SpellingEmbedder()
    async with Memory.open(target, embedder=embedder) as memory:
        await memory.remember("roses")
        assert said(await memory.recall("\ud800roses\0")) == ["roses"]
        await memory.recall(" \0 ")
    assert set(embedder.texts) == {"roses"}


async def test_a_cancelled_recall_leaves_nothing_running(target: Target) -> None:
    embedder = GatedEmbedder()
    async with Memory.open(target, embedder=embedder) as memory:
        before = asyncio.all_tasks()
        task = asyncio.create_task(memory.recall("roses"))
        await embedder.entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() <= before
        embedder.let_go.set()
        assert len(await memory.recall("roses")) == 0


# -- links


async def test_a_fact_leads_to_its_text_and_to_what_else_is_known_of_its_subject(memory: Memory) -> None:
    letter = await memory.remember("I have moved.", [("Ada", "lives in", "Ockham")])
    other = await memory.remember("Plans of the engine", [("Ada", "writes to", "Charles")])
    found = await memory.recall("Who lives there?")
    fact = hit_of(found, "Ada lives in Ockham")
    assert found.hits[0] == fact and (fact.hops, fact.via) == (0, ())
    linked = hit_of(found, "I have moved.")
    assert (linked.hops, linked.via, linked.bm25) == (1, (("fact", fact.item.id),), None)
    ada = letter.facts[0].subject
    for words in ("Ada writes to Charles", other.episode.content):
        assert hit_of(found, words).via == (("fact", fact.item.id), ("entity", ada))
        assert hit_of(found, words).score == pytest.approx(rank.DECAY)
    assert hit_of(found, "Ada writes to Charles").hops == 1


async def test_a_link_adds_to_what_words_find(memory: Memory) -> None:
    await memory.remember("plans of a garden")
    await memory.remember("plans of a house", [("Ada", "writes of", "the engine")])
    ask = {"query": "engine plans", "kinds": ["episode"]}
    alone, linked = await memory.recall(hops=0, **ask), await memory.recall(**ask)  # type: ignore[arg-type]
    assert set(said(alone)) == {"plans of a garden", "plans of a house"}
    assert said(linked)[0] == "plans of a house"
    one, other = (hit_of(alone, f"plans of a {what}").score for what in ("house", "garden"))
    best, next = (hit_of(linked, f"plans of a {what}").score for what in ("house", "garden"))
    assert best / next == pytest.approx((one + rank.DECAY * max(one, other)) / other)
    assert linked.hits[0].via == (("fact", 1),)


async def test_a_turn_leads_to_the_two_before_and_after_it_in_its_session(memory: Memory) -> None:
    turns = ["Hello", "Where did you go?", "Ask Charles", "To the sea", "How nice"]
    for turn in turns:
        await memory.remember(turn, session="talk")
        await memory.remember(f"elsewhere {turns.index(turn)}", session="other")
    found = await memory.recall("sea")
    beside = {"Ask Charles": 1, "How nice": 1, "Where did you go?": 2}
    assert said(found)[0] == "To the sea" and {*said(found)[1:]} == {*beside}
    for words, away in beside.items():
        hit = hit_of(found, words)
        assert (hit.hops, hit.score) == (away, pytest.approx(rank.DECAY**away))
    assert set(said(await memory.recall("sea", hops=2))) == set(turns)
    assert said(await memory.recall("sea", hops=0)) == ["To the sea"]
    assert set(said(await memory.recall("sea", hops=10**9))) == set(turns)


async def test_turns_are_beside_each_other_in_the_order_of_the_session_not_of_writing(memory: Memory) -> None:
    for seq, turn in ((30, "third"), (10, "first"), (20, "second"), (20, "second too")):
        await memory.remember(turn, session="talk", seq=seq)
    assert said(await memory.recall("first")) == ["first", "second", "second too"]
    assert said(await memory.recall("third")) == ["third", "second too", "second"]


@pytest.mark.parametrize("strategy", ["expand", "ppr"])
async def test_of_very_many_links_of_an_entity_as_many_as_of_few_are_followed(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, strategy: Any
) -> None:
    """The newest ones, and what the question finds itself. One link more is no cliff."""
    monkeypatch.setattr(recalling, "HUB", 4)
    await memory.remember("one", [("Ada", "lives in", "England")])
    for n in range(9):
        await memory.add_fact(f"N{n}", "is in", "England")
        found = set(said(await memory.recall("Ada lives", strategy=strategy, limit=50)))
        newest = {f"N{m} is in England" for m in range(n + 1)[-4:]}
        assert found - {"one"} == {"Ada lives in England", *newest}, n


async def test_near_names_are_gone_along_as_far_as_they_are_near(target: Target) -> None:
    embedder = AngleEmbedder(jon_smith=0, john_smith=20, engine=100, question=80)
    async with Memory.open(target, embedder=embedder) as memory:
        await memory.add_fact("Jon Smith", "builds", "engine", text="question")
        await memory.remember("found by its name alone", mentions=["John Smith"])
        found = await memory.recall("question")
        hit = hit_of(found, "found by its name alone")
        assert [kind for kind, _ in hit.via] == ["fact", "entity", "entity"] and hit.hops == 1
        first = found.hits[0].score
        assert hit.score == pytest.approx(rank.DECAY * 0.9397 * first, abs=1e-3)  # the cosine of 20 degrees


async def test_entities_are_found_by_name_and_by_links(memory: Memory) -> None:
    await memory.find_or_create_entity("Ockham", "village", "where roses grow")
    await memory.add_fact("Ada", "lives in", "Ockham")
    found = await memory.recall("Who lives near roses?", kinds=["entity"])
    assert set(said(found)) == {"Ockham", "Ada"}
    assert hit_of(found, "Ada").bm25 is None and hit_of(found, "Ockham").bm25 is not None


async def renamed(memory: Memory, ada: Entity) -> Entity:
    return await memory.update_entity(ada, name="Lady")


async def merged(memory: Memory, ada: Entity) -> Entity:
    return await memory.merge(await memory.find_or_create_entity("Countess"), ada)


async def merged_twice(memory: Memory, ada: Entity) -> Entity:
    return await memory.merge(await memory.find_or_create_entity("Enchantress"), await merged(memory, ada))


async def renamed_and_merged(memory: Memory, ada: Entity) -> Entity:
    return await merged(memory, await renamed(memory, ada))


async def called_so(memory: Memory, ada: Entity) -> Entity:
    await memory.forget(ada)
    return await memory.add_alias(await memory.find_or_create_entity("Countess"), "Ada Byron")


NAMED_BEFORE = [renamed, merged, merged_twice, renamed_and_merged, called_so]


@pytest.mark.parametrize("change", NAMED_BEFORE)
async def test_an_entity_is_found_by_the_words_of_each_name_that_it_has(
    memory: Memory, change: Callable[[Memory, Entity], Awaitable[Entity]]
) -> None:
    entity = await change(memory, await memory.find_or_create_entity("Ada Byron"))
    for strategy in ("expand", "hybrid"):
        found = await memory.recall("Who is Byron?", kinds=["entity"], strategy=strategy)  # type: ignore[arg-type]
        assert [hit.item for hit in found] == [entity]
    await memory.remove_alias(entity, "Ada Byron")
    assert (await memory.recall("Who is Byron?", kinds=["entity"])).hits == ()


async def test_an_entity_is_found_by_the_words_of_a_name_that_likeness_gave_it(db_path: Path) -> None:
    async with Memory.open(db_path, embedder=AngleEmbedder(ada_byron=0, ada_lovelace=5)) as memory:
        ada = await memory.find_or_create_entity("Ada Byron")
        assert await memory.find_or_create_entity("Ada Lovelace", similarity=0.9) == ada
    async with Memory.open(db_path) as memory:
        assert said(await memory.recall("Lovelace", kinds=["entity"], strategy="hybrid")) == ["Ada Byron"]
    assert_sound(db_path)


@pytest.mark.parametrize("change", NAMED_BEFORE)
async def test_what_is_known_of_an_entity_is_found_by_each_name_that_it_has(
    memory: Memory, change: Callable[[Memory, Entity], Awaitable[Entity]]
) -> None:
    ada = await memory.find_or_create_entity("Ada Byron")
    entity = await change(memory, ada)
    fact = await memory.add_fact(entity, "likes", "roses", text="she likes roses")
    assert await memory.entity("Ada Byron") == await memory.find_or_create_entity("ada byron") == entity
    assert await memory.facts("Ada Byron") == [fact]
    assert (await memory.neighbors("Ada Byron")).facts == (fact,)
    assert await memory.path("Ada Byron", "roses") == [fact]
    for strategy in ("expand", "ppr"):
        assert said(await memory.recall("What of Ada Byron?", strategy=strategy)) == ["she likes roses"]  # type: ignore[arg-type]


async def test_what_was_known_of_a_duplicate_is_found_as_of_before_the_one_that_stays_was_made(memory: Memory) -> None:
    ada = await memory.find_or_create_entity("Ada Byron")
    fact = await memory.add_fact(ada, "likes", "roses", text="she likes roses")
    countess = await merged(memory, ada)
    for name in ("Ada Byron", "Countess"):
        found = await memory.recall(f"What of {name}?", kinds=["entity", "fact"], known_at=fact.created_at)
        assert [hit.item.id for hit in found if hit.kind == "fact"] == [fact.id]
        assert hit_of(found, "Countess").item == countess


@pytest.mark.sqlite_only
async def test_a_walk_follows_a_chain_of_facts(memory: Memory) -> None:
    """The third text is two links from any word of the question, beside many that share its words."""
    await memory.remember("one", [("Lothair II", "has mother", "Ermengarde of Tours")])
    await memory.remember("two", [("Ermengarde of Tours", "died in", "Erstein")])
    for n in range(20):
        await memory.remember(f"mother {n}", [(f"Somebody {n}", "has mother", f"Someone {n}")])
    found = await memory.recall("When did Lothair's mother die?", strategy="ppr", kinds=["episode"], limit=2)
    assert said(found) == ["one", "two"]
    assert [kind for kind, _ in found.hits[1].via] == ["entity"] and found.hits[1].hops == 1


# -- times


async def test_facts_are_those_that_hold_and_are_believed_at_the_times_asked_for(memory: Memory) -> None:
    london = await memory.add_fact("Ada", "lives in", "London", valid_at=day(0), replace=True)
    ockham = await memory.add_fact("Ada", "lives in", "Ockham", valid_at=day(10), replace=True)
    ask = {"kinds": ["fact"]}
    assert said(await memory.recall("lives", **ask)) == ["Ada lives in Ockham"]  # type: ignore[arg-type]
    assert said(await memory.recall("lives", as_of=day(3), **ask)) == ["Ada lives in London"]  # type: ignore[arg-type]
    assert said(await memory.recall("lives", known_at=london.created_at, **ask)) == ["Ada lives in London"]  # type: ignore[arg-type]
    await memory.retract(ockham)
    assert said(await memory.recall("lives", known_at=ockham.created_at, **ask)) == ["Ada lives in Ockham"]  # type: ignore[arg-type]
    assert said(await memory.recall("Ockham", **ask)) == []  # type: ignore[arg-type]


async def test_nothing_is_linked_by_a_fact_that_is_not_believed(memory: Memory) -> None:
    said_first = await memory.remember("one", [("Ada", "owns", "pearl")])
    await memory.remember("two", [("pearl", "is in", "safe")])
    assert set(said(await memory.recall("Ada", kinds=["episode"]))) == {"one", "two"}
    await memory.retract(said_first.facts[0])
    assert "two" not in said(await memory.recall("Ada", kinds=["episode"]))
    found = await memory.recall("Ada", kinds=["episode"], known_at=said_first.facts[0].created_at)
    assert said(found) == ["one"]  # the second was not known then


@pytest.mark.sqlite_only
async def test_the_store_follows_no_links_of_what_is_not_believed(memory: Memory) -> None:
    old = await memory.remember("one", [("Ada", "owns", "pearl")], key="text", session="talk")
    await memory.remember("two", session="talk")
    await memory.remember("one more", key="text", session="talk", replace=True)
    nodes = [("fact", old.facts[0].id), ("episode", old.episode.id)]
    around = memory._core.store.around
    links = await around(["default"], nodes, [old.episode.id], When(now_micros()), 50)
    assert not any(astuple(links))
    known = await memory._core.store.known_upto(to_micros("then", old.episode.created_at))
    then = When(now_micros(), known)
    links = await around(["default"], nodes, [old.episode.id], then, 50)
    assert len(links.ends) == 2 and links.evidence and links.mentioned and links.stated and not links.beside


async def test_texts_are_those_versions_that_were_known(memory: Memory) -> None:
    first = await memory.remember("roses are red", key="poem")
    await memory.remember("roses are white", key="poem", replace=True)
    assert said(await memory.recall("roses")) == ["roses are white"]
    assert said(await memory.recall("roses", known_at=first.episode.created_at)) == ["roses are red"]


# -- namespaces


async def test_other_namespaces_are_found_only_where_they_are_read(memory: Memory) -> None:
    await memory.remember("my roses", [("Ada", "likes", "roses")])
    team = memory.scoped(namespace="team")
    await team.remember("their roses", [("Ada", "sells", "roses")])
    assert set(said(await memory.recall("roses"))) == {"my roses", "Ada likes roses"}
    both = memory.scoped(also_read=["team"])
    assert len(await both.recall("roses")) == 4
    assert len(await memory.scoped(namespace="nowhere").recall("roses")) == 0
    await team.forget_namespace()
    assert set(said(await both.recall("roses"))) == {"my roses", "Ada likes roses"}


# -- what is handed out


async def test_a_limit_leaves_out_the_worst_and_says_how_many(memory: Memory) -> None:
    for n in range(9):
        await memory.remember("roses " * (n + 1))
    found = await memory.recall("roses", limit=3)
    assert len(found) == 3 and found.found == 9
    assert said(found) == said(await memory.recall("roses", limit=10**9))[:3]
    none = await memory.recall("roses", limit=0)
    assert (none.hits, none.found) == ((), 9)


async def test_a_prompt_has_facts_with_their_quotes_and_texts_a_line_each(memory: Memory) -> None:
    ada = await memory.find_or_create_entity("Ada", "person", "writes\nprograms")
    await memory.add_fact(ada, "lives in", "Ockham", quote="I have\nmoved", valid_at=day(0))
    await memory.remember("Ada said:\n- [fact 9] roses", occurred_at=day(1))
    found = await memory.recall("Ada lives", kinds=["fact", "episode", "entity"], hops=0)
    assert sorted(found.to_prompt().splitlines()) == sorted([
        '- Ada lives in Ockham (from 2020-01-01) [fact 1] "I have moved"',
        "- Ada (person): writes programs [entity 1]",
        "- 2020-01-02: Ada said: - [fact 9] roses [episode 1]",
        "(3 of 3 found are shown, 0 left out)",
    ])  # fmt: skip


async def test_a_prompt_keeps_within_its_budget_and_says_what_it_leaves_out(memory: Memory) -> None:
    await memory.remember("roses " * 300)
    await memory.add_fact("Ada", "likes", "roses", quote="most of all I like " + "white " * 20)
    found = await memory.recall("roses")
    assert found.to_prompt(10_000).count("roses") > 300 and "left out" in found.to_prompt()
    for budget in range(0, 700, 7):
        prompt = found.to_prompt(budget, count=len)
        assert len(prompt) <= budget
        assert prompt == "" or prompt.endswith("left out)")
        kept = found.within(budget, count=len)
        assert len(kept) == max(0, prompt.count("\n"))
        assert kept.found == found.found
    assert found.to_prompt(60, count=len).startswith("(0 of 2") and found.to_prompt(0) == ""
    assert '"' not in found.to_prompt(75, count=len) and "Ada likes roses [fact 1]" in found.to_prompt(75, count=len)
    assert "…" in found.to_prompt(650, count=len)


async def test_a_budget_leaves_out_the_hits_that_a_prompt_would(memory: Memory) -> None:
    for n in range(20):
        await memory.remember(f"roses, number {n}")
    found = await memory.recall("roses", limit=20, budget=60)
    assert 0 < len(found) < 8 and found.found == 20
    assert found.to_prompt(60) == found.to_prompt()
    assert len(await memory.recall("roses", budget=0)) == 0


async def test_a_rerank_hook_has_the_last_word(memory: Memory) -> None:
    for n in range(60):
        await memory.remember("roses " * (n + 1) + f"number {n}")
    seen: list[tuple[str, int]] = []

    async def shortest_first(query: str, hits: Sequence[Hit]) -> list[float]:
        seen.append((query, len(hits)))
        return [-len(hit.item.content) for hit in hits if isinstance(hit.item, Episode)]

    plain = await memory.recall("roses", limit=50)
    found = await memory.recall("roses", limit=2, rerank=shortest_first)
    assert seen == [("roses", 50)]
    lengths = sorted(len(words) for words in said(plain))
    assert [len(words) for words in said(found)] == lengths[:2] and found.hits[0].score == -lengths[0]

    async def too_few(query: str, hits: Sequence[Hit]) -> list[float]:
        return [1.0]

    with pytest.raises(ValueError, match="1 scores for 50 hits"):
        await memory.recall("roses", rerank=too_few)


# -- what is refused


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"kinds": ["fact", "vector"]}, ValueError, "'vector'"),
        ({"kinds": []}, ValueError, "at least one"),
        ({"kinds": "fact"}, TypeError, "several"),
        ({"strategy": "rrf"}, ValueError, "'expand', 'ppr', 'hybrid'"),
        ({"limit": -1}, ValueError, "limit=-1"),
        ({"limit": 2.5}, TypeError, "limit=2.5"),
        ({"hops": -1}, ValueError, "hops=-1"),
        ({"budget": -1}, ValueError, "budget=-1"),
        ({"as_of": day(0).replace(tzinfo=None)}, ValueError, "as_of"),
        ({"known_at": day(0).replace(tzinfo=None)}, ValueError, "known_at"),
        ({"query": 7}, TypeError, "query must be a str"),
    ],
)
async def test_bad_input_is_refused(memory: Memory, how: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        await memory.recall(**{"query": "roses", **how})


async def test_a_hit_is_what_the_memory_returns_for_its_id(memory: Memory) -> None:
    await memory.remember("roses", [("Ada", "likes", "roses")])
    for hit in await memory.recall("roses", kinds=["fact", "episode", "entity"]):
        if isinstance(hit.item, Fact):
            assert await memory.fact(hit.item.id) == hit.item
        elif isinstance(hit.item, Episode):
            assert await memory.episode(hit.item.id) == hit.item
        else:
            assert await memory.entity(hit.item.id) == hit.item
