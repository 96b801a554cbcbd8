"""recall over links: texts that mention the same, hops that keep the first hit, entities of the question, speakers."""

from __future__ import annotations

import pytest

from aiomemdb import Memory
from aiomemdb.memory import rank, recall
from aiomemdb.memory.deciding import recalling
from tests.memory.test_recall import hit_of, said

STRATEGIES = ("expand", "ppr")


# -- texts that mention the same


async def test_a_text_leads_to_those_that_mention_the_same(memory: Memory) -> None:
    first = await memory.remember("The harbour was dredged", mentions=["Ostend"])
    await memory.remember("A casino stands there", mentions=["Ostend"])
    await memory.remember("Elsewhere", mentions=["Ghent"])
    found = await memory.recall("Who dredged the harbour?")
    assert said(found) == ["The harbour was dredged", "A casino stands there"]
    hit = found.hits[1]
    [ostend] = first.entities
    assert (hit.score, hit.hops) == (pytest.approx(rank.DECAY * found.hits[0].score), 1)
    assert hit.via == (("episode", first.episode.id), ("entity", ostend.id))


async def test_of_those_that_mention_the_same_the_one_with_words_of_the_question_comes_first(memory: Memory) -> None:
    await memory.remember("The harbour of Ostend was dredged by monks", mentions=["Ostend"])
    await memory.remember("Its casino", mentions=["Ostend"])
    await memory.remember(
        "Its monks, about which many more tales are known elsewhere and at length", mentions=["Ostend"]
    )
    found = await memory.recall("dredged harbour monks")
    assert said(found)[1].startswith("Its monks") and said(found)[2] == "Its casino"
    assert found.hits[0].score > found.hits[1].score > found.hits[2].score


async def test_what_is_not_readable_leads_nowhere(memory: Memory) -> None:
    old = await memory.remember("The harbour was dredged", mentions=["Ostend"], key="harbour")
    await memory.remember("A casino stands there", mentions=["Ostend"])
    await memory.remember("The harbour is dry", key="harbour", replace=True)
    await memory.scoped(namespace="other").remember("Theirs", mentions=["Ostend"])
    assert old.episode.content not in said(await memory.recall("casino"))
    assert "Theirs" not in said(await memory.recall("casino"))


async def test_a_random_walk_begins_at_texts_and_what_they_mention_where_no_fact_is_found(memory: Memory) -> None:
    first = await memory.remember("The harbour was dredged", mentions=["Ostend"])
    await memory.remember("A casino stands there", mentions=["Ostend"])
    found = await memory.recall("Who dredged the harbour?", strategy="ppr")
    assert set(said(found)) == {"The harbour was dredged", "A casino stands there"}
    assert hit_of(found, "A casino stands there").via == (("entity", first.entities[0].id),)


# -- more hops


@pytest.mark.parametrize("hops", [2, 3, 7])
async def test_more_hops_keep_the_first_hit(memory: Memory, hops: int) -> None:
    """The second one is linked to all others, which are linked to nothing more."""
    await memory.remember("roses and tulips", mentions=["Garden"])
    await memory.remember("roses, it is said", mentions=["Garden", "House"])
    for n in range(8):
        await memory.remember(f"tulips {n}", [(f"N{n}", "is in", "House")], mentions=["Garden"], session="talk")
    once = await memory.recall("roses tulips", kinds=["episode"])
    found = await memory.recall("roses tulips", kinds=["episode"], hops=hops)
    assert said(found)[0] == said(once)[0] == "roses and tulips"
    assert found.hits[0].score == pytest.approx(once.hits[0].score)


async def test_a_second_hop_goes_on_where_the_first_ended(memory: Memory) -> None:
    for one, other in (("A", "B"), ("B", "C"), ("C", "D")):
        await memory.remember(f"text {one}", mentions=[one, other])
    assert set(said(await memory.recall("A", hops=1))) == {"text A", "text B"}
    assert set(said(await memory.recall("A", hops=2))) == {"text A", "text B", "text C"}


# -- entities that the question names


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("count", [49, 60, 120])
async def test_an_entity_that_the_question_names_is_no_hub(
    memory: Memory, count: int, strategy: recall.Strategy
) -> None:
    ada = await memory.find_or_create_entity("Ada Lovelace")
    await memory.add_alias(ada, "Countess")
    for n in range(count):
        await memory.add_fact(ada, "likes", f"thing {n}")
    found = await memory.recall("What of the Countess?", strategy=strategy)
    assert len(found) == 10 and found.found == min(count, recalling.HUB)


async def test_of_very_many_links_the_newest_are_followed_and_what_the_question_finds(memory: Memory) -> None:
    ada = await memory.find_or_create_entity("Ada Lovelace")
    await memory.add_alias(ada, "Countess")
    for n in range(60):
        await memory.add_fact(ada, "likes", f"thing{n}")
        await memory.remember(f"text{n}", mentions=[ada])
    found = await memory.recall("Has the Countess thing3, in text5?", limit=1000)
    assert {"Ada Lovelace likes thing3", "text5"} == {*said(found)[:2]}
    for words in ("Ada Lovelace likes thing3", "text5"):
        assert hit_of(found, words).via != ()
    assert {"Ada Lovelace likes thing59", "text59", "text10"} <= {*said(found)}
    assert not {"Ada Lovelace likes thing9", "text9"} & {*said(found)}


# -- who speaks


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_what_a_speaker_said_counts_more_if_the_question_names_the_speaker(
    memory: Memory, strategy: recall.Strategy
) -> None:
    for source in ("Melanie", "Caroline", None):
        await memory.remember("I went camping", source=source)
    found = await memory.recall("When did CAROLINE\u2019s camping begin?", strategy=strategy)
    [first, second, third] = [hit.item for hit in found]
    assert getattr(first, "source", "") == "Caroline"
    assert found.hits[0].score == pytest.approx(rank.SPEAKER * found.hits[1].score)
    assert found.hits[1].score == pytest.approx(found.hits[2].score) and second != third


async def test_without_links_a_speaker_counts_as_any(memory: Memory) -> None:
    for source in ("Melanie", "Caroline"):
        await memory.remember("I went camping", source=source)
    scores = [hit.score for hit in await memory.recall("Caroline camping", strategy="hybrid")]
    assert scores[0] == scores[1]
