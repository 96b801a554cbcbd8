"""The graph, or a part of it, of one state."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiomemdb import Graph, Memory, Name, Statement
from aiomemdb.memory.questions import GraphQuery
from aiomemdb.memory.reads import Reads
from aiomemdb.memory.substrings import sure_run, takes_in
from tests.memory.support import day


def seen(subject: str, value: str | int) -> Statement:
    return Statement(subject=subject, predicate="observation", value=value)


def names(graph: Graph) -> list[str]:
    return [entity.name for entity in graph.entities]


async def fill(memory: Memory) -> None:
    facts = [seen("Ann", "likes Tea"), seen("Bob", 42), Statement(subject="Bob", predicate="age", value="tea")]
    await memory.add_entities([Name("Ann", "person"), Name("Bob", "Person"), "Carl"], facts=facts)
    await memory.add_facts(
        [("Ann", "knows", "Bob"), ("Carl", "knows", "Dora"), ("Dora", "knows", "Eve")], missing="imply"
    )


async def test_all_of_it_has_the_facts_between_implied_ends_too(memory: Memory) -> None:
    await fill(memory)
    graph = await memory.graph()
    assert names(graph) == ["Ann", "Bob", "Carl"]
    assert [fact.text for fact in graph.facts] == [
        "Ann observation likes Tea",
        "Bob observation 42",
        "Bob age tea",
        "Ann knows Bob",
        "Carl knows Dora",
        "Dora knows Eve",
    ]
    assert [entity.name for entity in graph.others] == ["Dora", "Eve"]


async def test_implied_entities_are_there_if_they_are_asked_for(memory: Memory) -> None:
    await fill(memory)
    graph = await memory.graph(implied=True)
    assert sorted(names(graph)) == ["Ann", "Bob", "Carl", "Dora", "Eve"] and graph.others == ()


async def test_of_a_predicate_alone_values_are_returned_and_searched(memory: Memory) -> None:
    await fill(memory)
    graph = await memory.graph(predicate="OBSERVATION")
    assert [fact.value for fact in graph.facts if fact.object is None] == ["likes Tea", 42]
    assert names(await memory.graph(containing="TEA", predicate="observation")) == ["Ann"]
    assert names(await memory.graph(containing="TEA")) == ["Ann", "Bob"]


async def test_names_are_any_of_an_entity_whatever_its_type(memory: Memory) -> None:
    await fill(memory)
    [apple] = await memory.add_entities([Name("Ann", "apple")])
    await memory.add_alias(apple.entity, "Granny")
    assert names(await memory.graph(names=["ANN"])) == ["Ann", "Ann"]
    assert [entity.type for entity in (await memory.graph(names=["granny", "nowhere"])).entities] == ["apple"]
    assert await memory.graph(names=[]) == Graph((), (), ())


async def test_of_some_entities_facts_with_one_end_among_them_are_there(memory: Memory) -> None:
    await fill(memory)
    graph = await memory.graph(names=["Carl", "Bob"], predicate="observation")
    assert [fact.text for fact in graph.facts] == ["Bob observation 42", "Ann knows Bob", "Carl knows Dora"]
    assert [entity.name for entity in graph.others] == ["Ann", "Dora"]


async def test_what_is_believed_no_longer_or_does_not_hold_is_not_there(memory: Memory) -> None:
    await memory.add_entities(["Ann"], facts=[seen("Ann", "old")])
    await memory.retract_facts([seen("Ann", "old")])
    await memory.add_fact("Ann", "observation", value="over", invalid_at=day(1))
    assert (await memory.graph()).facts == () and names(await memory.graph(containing="old")) == []


PARTS = {
    "": 6,
    "ΣΊΣ": 0,
    "ΣΊΣΥ": 1,
    "ς": 1,
    "σίσ": 1,
    "k": 1,
    "K": 1,
    "i": 3,
    "100%": 1,
    "%": 1,
    "_": 1,
    "\\": 1,
    '"': 1,
}
PARTS |= {"\n": 1, "名": 1, "\0": 0, "ZOË": 1, "zoe\u0308": 0, "x" * 60_000: 0}


@pytest.mark.parametrize(("part", "found"), PARTS.items(), ids=lambda value: ascii(value)[:20])
async def test_a_part_is_found_without_regard_to_case_and_means_itself(memory: Memory, part: str, found: int) -> None:
    texts = ["\u212aelvin", "ΣΊΣΥΦΟΣ", '100% of a_b\\c "d"\ne', "İ 名", "Zoë", "is"]
    await memory.add_entities([f"n{n}" for n in range(6)], facts=[seen(f"n{n}", text) for n, text in enumerate(texts)])
    assert len((await memory.graph(containing=part)).entities) == found


async def test_a_bad_question_is_refused(memory: Memory) -> None:
    with pytest.raises(TypeError, match="several"):
        await memory.graph(names="Ann")
    with pytest.raises(TypeError, match="containing"):
        await memory.graph(containing=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="empty"):
        await memory.graph(names=[" "])


async def test_a_graph_has_the_namespaces_that_the_view_reads(memory: Memory) -> None:
    await memory.add_entities(["Ann"], facts=[seen("Ann", "x")])
    await memory.scoped(namespace="team").add_entities(["Bob"], facts=[seen("Bob", "x")])
    await memory.scoped(namespace="private").add_entities(["Eve"], facts=[seen("Eve", "x")])
    view = memory.scoped(also_read=["team"])
    for graph in (await view.graph(), await view.graph(containing="x"), await view.graph(names=["Ann", "Bob", "Eve"])):
        assert names(graph) == ["Ann", "Bob"] and len(graph.facts) == 2


async def test_entities_come_in_the_order_in_which_calls_created_them(memory: Memory) -> None:
    await memory.add_facts([("Dora", "knows", "Eve")], missing="imply")
    await memory.add_entities(["Ann", "Eve"])
    await memory.add_entities(["Dora"])
    assert names(await memory.graph()) == names(await memory.graph(containing="")) == ["Ann", "Eve", "Dora"]


@pytest.mark.sqlite_only
async def test_a_part_of_many_entities_is_read_as_that_of_few_is(memory: Memory) -> None:
    """Both ways of reading facts."""
    made = [f"many {n}" for n in range(2_050)]
    await memory.add_entities(made, facts=[seen(name, name[::-1]) for name in made])
    await memory.add_facts([(made[0], "knows", "other"), ("other", "knows", "another")], missing="imply")
    graph = await memory.graph(containing="many")
    assert names(graph) == made and len(graph.facts) == len(made) + 1
    assert [entity.name for entity in graph.others] == ["other"]


_TEXTS = st.text(st.sampled_from('aAkK\u212aiIİ ßSsΣσς名%_\\"\n'), min_size=1, max_size=4)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(_TEXTS, min_size=1, max_size=6, unique=True), parts=st.lists(_TEXTS, min_size=1, max_size=6))
def test_sqlite_finds_what_a_look_at_all_of_it_finds(tmp_path: Path, texts: list[str], parts: list[str]) -> None:
    async def work() -> None:
        async with Memory.open(tmp_path / "memory.db") as memory:
            try:
                made = [f"n{n}" for n in range(len(texts))]
                await memory.add_entities(made, facts=[seen(n, t) for n, t in zip(made, texts, strict=True)])
                for part in parts:
                    found = await memory.graph(containing=part)
                    query = GraphQuery(2**60, containing=part.lower())
                    assert found == await Reads.graph(memory._core.store, ["default"], query), part
            finally:
                await memory.forget_namespace()

    asyncio.run(work())


@given(text=st.text(), part=_TEXTS)
def test_what_takes_in_a_part_has_its_run(text: str, part: str) -> None:
    for whole in (text, f"{text}{part}{text}", f"{text}{part.upper()}{text}"):
        run = sure_run(part.lower())
        if run is not None and takes_in(whole, part.lower()):
            found, others = run
            assert found.lower() in "".join(c.lower() if c.isascii() else c for c in whole) or any(
                other in whole for other in others
            )
