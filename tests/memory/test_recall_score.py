"""Hit.score: the same from one question to the next, so that min_score= can say that nothing is known."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from aiomemdb import Hit, Memory, Recall
from aiomemdb.memory.recall import Strategy
from tests.memory.conftest import Target
from tests.memory.support import AngleEmbedder

STRATEGIES: tuple[Strategy, ...] = ("expand", "ppr", "hybrid")
#: What the documentation names.
THRESHOLD = 0.4

TEXTS = (
    ("I have moved to Ockham with the piano", [("Ada", "lives in", "Ockham")]),
    ("Tea with Charles on Tuesday", [("Ada", "drinks tea with", "Charles")]),
    ("The engine needs brass wheels", [("Charles", "builds", "the engine")]),
    ("White roses are in bloom behind the house", []),
    ("The piano is out of tune", []),
    ("Two letters came, one of them from Turin", [("Menabrea", "writes from", "Turin")]),
)
OWN = ("Where does Ada live?", "Who builds the engine?", "What blooms behind the house?", "Is the piano in tune?")
FOREIGN = (
    "When did the ferry to Ostend sink?",
    "Which medals has Gina won in dance contests?",
    "How many turtles does Nate feed?",
    "What does the landlord charge per month?",
)


async def fill(memory: Memory) -> None:
    for text, facts in TEXTS:
        await memory.remember(text, facts, session="talk")


def scores(found: Recall) -> list[float]:
    return [hit.score for hit in found]


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_scores_are_from_0_to_1_and_fall(memory: Memory, strategy: Strategy) -> None:
    await fill(memory)
    for question in (*OWN, *FOREIGN, "Ada", "the of", "piano piano piano", "", "?"):
        for hops in (0, 1, 3):
            found = scores(await memory.recall(question, strategy=strategy, hops=hops, limit=99))
            assert all(0 <= score <= 1 for score in found) and found == sorted(found, reverse=True)


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_one_threshold_parts_what_is_known_from_what_is_not(memory: Memory, strategy: Strategy) -> None:
    await fill(memory)
    for question in OWN:
        assert (await memory.recall(question, strategy=strategy, min_score=THRESHOLD)).hits, question
    for question in FOREIGN:
        found = await memory.recall(question, strategy=strategy, min_score=THRESHOLD)
        assert (found.hits, found.found) == ((), 0), question


async def test_the_first_score_says_how_much_of_the_question_is_there(memory: Memory) -> None:
    await fill(memory)
    first = [
        (await memory.recall(question)).hits[0].score
        for question in (
            "white roses",
            "brass wheels",
            "white wheels",
            "white wheels of zinc",
            "wheels of zinc and tin",
        )
    ]
    assert first[0] == first[1] == 1.0  # of two questions that each stand whole in a text
    assert first[1] > first[2] > first[3] > first[4] > 0


async def test_what_is_found_does_not_depend_on_what_else_is_found(memory: Memory) -> None:
    """Divided by the best of its own question each would be 1."""
    await fill(memory)
    poor, good = await memory.recall("wheels of zinc and tin"), await memory.recall("brass wheels")
    assert poor.hits[0].item == good.hits[0].item and poor.hits[0].score < 0.5 * good.hits[0].score


async def test_no_threshold_is_the_default(memory: Memory) -> None:
    await fill(memory)
    found = await memory.recall("How is a house like a harbour, a ship or an inn?")
    assert found.hits[0].score < THRESHOLD
    assert await memory.recall(found.query, min_score=0) == await memory.recall(found.query, min_score=None) == found


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_the_higher_the_threshold_the_fewer_hits(memory: Memory, strategy: Strategy) -> None:
    await fill(memory)
    for question in OWN:
        whole = await memory.recall(question, strategy=strategy, limit=99)
        for min_score in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0, *scores(whole)):
            found = await memory.recall(question, strategy=strategy, limit=99, min_score=min_score)
            assert found.hits == tuple(hit for hit in whole if hit.score >= min_score)
            assert found.found == sum(score >= min_score for score in scores(whole))


async def test_what_others_wrote_does_not_change_how_sure_it_is(memory: Memory) -> None:
    """Nor what is believed no more: a question is silent, or not, by what is readable alone."""
    await fill(memory)
    questions = (*OWN, *FOREIGN, "white wheels", "piano of brass", "roses of Turin")
    before = [scores(await memory.recall(question))[:1] for question in questions]
    for n in range(30):
        await memory.scoped(namespace="theirs").remember(f"the ferry to Ostend, turtles, white piano, tune, Turin {n}")
        made = await memory.remember(f"wheels and medals for dance {n}", [("Nate", "feeds", f"turtle of brass {n}")])
        await memory.retract(made.facts[0])
        await memory.forget(made.episode)
    assert [scores(await memory.recall(question))[:1] for question in questions] == before


async def test_an_entity_that_is_all_the_question_names_is_sure(memory: Memory) -> None:
    ada = await memory.find_or_create_entity("Ada Lovelace")
    await memory.add_alias(ada, "A. A. L.")
    await memory.add_fact(ada, "likes", "roses", text="she likes roses")
    assert scores(await memory.recall("A. A. L.", min_score=1)) == [1.0]


async def test_vectors_have_their_share(target: Target) -> None:
    angles = {"red_roses": 0, "roses": 60, "ships": 0, "no_word_of_it": 0, "far_away": 90}
    async with Memory.open(target, embedder=AngleEmbedder(**angles)) as memory:
        for text in ("roses", "far away"):
            await memory.remember(text)
        [hit, *_] = await memory.recall("roses")
        assert hit.score == pytest.approx(0.6 + 0.4)
        [hit, *_] = await memory.recall("no word of it")
        assert hit.score == pytest.approx(0.4 * 0.5)  # no word, and the cosine of 60 degrees
        await memory.remember("ships")
        [hit, *_] = await memory.recall("no word of it")
        assert hit.score == pytest.approx(0.4)


async def test_rerank_gets_what_is_left_and_its_scores_stay(memory: Memory) -> None:
    await fill(memory)
    given: list[Hit] = []

    async def rerank(query: str, hits: Sequence[Hit]) -> list[float]:
        given.extend(hits)
        return [-7.5 * place for place, _ in enumerate(hits)]

    found = await memory.recall("Is the piano in tune?", rerank=rerank, min_score=0.9)
    assert given and all(hit.score >= 0.9 for hit in given)
    assert scores(found) == [-7.5 * place for place, _ in enumerate(given)]
    assert not await memory.recall(FOREIGN[0], rerank=rerank, min_score=THRESHOLD)


@pytest.mark.parametrize(
    ("min_score", "error"),
    [
        ("0.4", TypeError),
        (True, TypeError),
        ([0.4], TypeError),
        (0.4j, TypeError),
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        (-0.01, ValueError),
        (1.01, ValueError),
    ],
)
async def test_what_is_no_share_is_refused(memory: Memory, min_score: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^min_score=.*: a number from 0 to 1$"):
        await memory.recall("roses", min_score=min_score)


async def test_other_kinds_of_numbers_are_numbers(memory: Memory) -> None:
    await fill(memory)
    for min_score in (Decimal("0.99"), 1):
        assert scores(await memory.recall("brass wheels", min_score=min_score))[0] == 1.0  # type: ignore[arg-type]


async def test_questions_side_by_side_have_the_scores_that_each_has_alone(memory: Memory) -> None:
    await fill(memory)
    questions = (*OWN, *FOREIGN)
    alone = [await memory.recall(question, min_score=0.1) for question in questions]
    assert await asyncio.gather(*(memory.recall(question, min_score=0.1) for question in questions)) == alone
