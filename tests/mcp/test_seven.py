"""Our own seven tools."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from aiomemdb import AiomemdbError, Memory
from aiomemdb.mcp import seven
from aiomemdb.mcp.serving import MemoryService, Options
from aiomemdb.mcp.seven_listing import LISTED
from aiomemdb.memory.prompt import estimate_tokens
from tests.mcp.clients import FakeClient

MOVED = {"subject": "Ada", "predicate": "lives in", "object": "Ockham"}


class Tools:
    def __init__(self, memory: Memory, **options: Any) -> None:
        self.service = MemoryService(memory, Options(tools="memory", **options))

    async def __call__(
        self, tool: str, /, *, client: FakeClient | None = None, fails: bool = False, **asked: Any
    ) -> str:
        answer = await self.service.call(tool, asked, client or FakeClient())
        assert answer.failed is fails, answer
        return answer.text


@pytest_asyncio.fixture
async def memory(place: Path | str) -> AsyncIterator[Memory]:
    async with Memory.open(place) as opened:
        yield opened


@pytest.fixture
def call(memory: Memory) -> Tools:
    return Tools(memory)


async def fact_id(call: Tools, question: str = "Where does Ada live?") -> int:
    found = re.search(r"\[fact (\d+)\]", await call("recall", question=question))
    assert found is not None
    return int(found[1])


async def test_what_is_remembered_is_recalled_with_its_id(call: Tools) -> None:
    said = await call("remember", text="Ada moved to Ockham.", facts=[MOVED])
    assert said == "Remembered as [episode 1].\n- Ada lives in Ockham [fact 1]"
    recalled = await call("recall", question="Where does Ada live?")
    assert "Ada lives in Ockham [fact 1]" in recalled and "Ada moved to Ockham. [episode 1]" in recalled


async def test_a_recall_of_nothing_says_what_to_do(call: Tools) -> None:
    assert "overview" in await call("recall", question="Where does Ada live?")


async def test_the_same_text_under_its_key_is_known_already(call: Tools) -> None:
    await call("remember", text="Ada moved.", key="mail 1")
    assert await call("remember", text="Ada moved.", key="mail 1") == "Known already as [episode 1]."


async def test_the_client_is_the_agent_that_wrote(call: Tools, memory: Memory) -> None:
    await call("remember", text="Ada moved.", facts=[MOVED], client=FakeClient("desktop"))
    fact = await memory.fact(1)
    assert fact is not None and fact.agent == "desktop"


async def test_an_agent_that_is_named_writes_whatever_the_client_calls_itself(memory: Memory) -> None:
    await Tools(memory, agent="mail")("remember", text="Ada moved.", client=FakeClient("desktop"))
    episode = await memory.episode(1)
    assert episode is not None and episode.agent == "mail"


@pytest.mark.parametrize("name", ["", " \0 ", "x" * 5000, None])
async def test_a_client_without_a_name_that_serves_writes_all_the_same(call: Tools, name: str | None) -> None:
    assert "[episode 1]" in await call("remember", text="Ada moved.", client=FakeClient(name))


async def test_a_fact_that_was_wrong_is_believed_no_longer_and_stays_in_the_history(call: Tools) -> None:
    await call("remember", text="Ada moved.", facts=[MOVED])
    fact = await fact_id(call)
    assert await call("correct", fact=fact, reason="a joke") == f"Taken back: Ada lives in Ockham [fact {fact}]"
    assert "lives in" not in await call("recall", question="Where does Ada live?")
    history = await call("history", fact=fact)
    assert 'retract by tests "a joke"' in history and "said by [episode 1]" in history


async def test_a_correction_takes_the_place_of_what_was_wrong(call: Tools, memory: Memory) -> None:
    await call("remember", text="Ada moved.", facts=[{**MOVED, "valid_at": "2026-01-01"}])
    said = await call("correct", subject="Ada", predicate="lives in", new_object="London")
    assert said.startswith("- Ada lives in London (from 2026-01-01T00:00:00+00:00) [fact 2]")
    assert [fact.text for fact in await memory.facts("Ada")] == ["Ada lives in London"]


async def test_a_change_ends_the_old_fact_where_the_new_one_begins(call: Tools) -> None:
    await call("remember", text="Ada moved.", facts=[MOVED])
    await call("correct", fact=1, new_object="London", since="2026-03-01", reason="she moved")
    before = await call("recall", question="Where does Ada live?", as_of="2026-02-01")
    after = await call("recall", question="Where does Ada live?", as_of="2026-04-01")
    assert "lives in Ockham" in before and "lives in London" not in before
    assert "lives in London" in after and "lives in Ockham" not in after


async def test_a_fact_that_is_over_may_end_without_another(call: Tools) -> None:
    await call("remember", text="Ada moved.", facts=[MOVED])
    assert "Ended at 2026-03-01" in await call("correct", fact=1, since="2026-03-01")
    assert "lives in" not in await call("recall", question="Where does Ada live?", as_of="2026-04-01")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"fact": 99}, "[fact 99] is not there"),
        ({"subject": "Ada"}, "by its id"),
        ({"subject": "Ada", "predicate": "likes"}, "several facts fit"),
        ({"subject": "Ada", "predicate": "hates"}, "no fact that is believed fits"),
        ({"fact": 1, "new_object": "a", "new_value": "b"}, "not both"),
        ({"fact": 1, "since": "yesterday"}, "ISO 8601"),
        ({"fact": 1, "new_object": " "}, "empty"),
    ],
)
async def test_a_correction_that_fails_says_why_and_changes_nothing(
    call: Tools, memory: Memory, asked: dict[str, Any], words: str
) -> None:
    likes = [{"subject": "Ada", "predicate": "likes", "object": what} for what in ("tea", "sums")]
    await call("remember", text="Ada likes tea and sums.", facts=likes)
    before = (await memory.counts(), [fact.text for fact in await memory.facts()])
    assert words in await call("correct", fails=True, **asked)
    assert (await memory.counts(), [fact.text for fact in await memory.facts()]) == before


async def test_a_path_is_a_chain_of_facts(call: Tools) -> None:
    near = {"subject": "Ockham", "predicate": "is near", "object": "London"}
    await call("remember", text="Ada moved.", facts=[MOVED, near])
    assert (await call("path", source="Ada", target="London")).splitlines() == [
        "- Ada lives in Ockham [fact 1]",
        "- Ockham is near London [fact 2]",
    ]
    assert "No chain" in await call("path", source="Ada", target="London", max_hops=1)
    assert "no entity" in await call("path", source="Ada", target="Rome", fails=True)


async def test_an_overview_says_what_there_is(call: Tools, memory: Memory) -> None:
    assert await call("overview") == "0 entities, 0 facts that are believed (0 that were), 0 texts"
    await memory.find_or_create_entity("Ada", "person")
    await call("remember", text="Ada moved.", facts=[MOVED])
    overview = await call("overview")
    assert overview.startswith("2 entities, 1 facts that are believed (0 that were), 1 texts")
    assert "Types: no type 1, person 1" in overview and "- Ada (person), 1 facts" in overview
    assert "- Ada lives in Ockham [fact 1]" in overview and "by tests" in overview


async def test_an_overview_without_sql_says_the_same(
    call: Tools, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = [{"subject": "Ada", "predicate": "likes", "value": f"thing {n}"} for n in range(12)]
    await call("remember", text="Ada moved.", facts=[MOVED, *facts])
    await memory.find_or_create_entity("Eve", "person")
    asked = await call("overview")

    async def refused(*_: object, **__: object) -> None:
        raise AiomemdbError("no SQL here")

    monkeypatch.setattr(Memory, "agent_read", refused)
    assert await call("overview") == asked and "Types: no type 2, person 1" in asked
    monkeypatch.setattr(seven, "_MOST_OF_A_GRAPH", 1)
    assert await call("overview") == asked.splitlines()[0]


async def test_an_overview_shows_only_what_the_server_reads(call: Tools, memory: Memory) -> None:
    await memory.scoped(namespace="private").remember("Secret.", [("Eve", "knows", "Mallory")])
    assert "Eve" not in await call("overview")


async def test_forgetting_asks_the_person_where_the_client_can(call: Tools, memory: Memory) -> None:
    await call("remember", text="Ada moved.", facts=[MOVED])
    no, yes = FakeClient(says=False), FakeClient(says=True)
    assert "nothing was deleted" in await call("forget", entity="Ada", client=no, fails=True)
    assert no.asked == ["Delete for good: Ada [entity 1]?"]
    assert await memory.entity("Ada") is not None
    assert "Deleted for good: Ada [entity 1]" in await call("forget", entity="Ada", client=yes)
    assert await memory.entity("Ada") is None


async def test_forgetting_deletes_where_the_client_cannot_ask(call: Tools, memory: Memory) -> None:
    await call("remember", text="Ada moved.", facts=[MOVED])
    await call("forget", episode=1)
    assert (await memory.counts()).episodes == 0


async def test_exactly_one_thing_is_forgotten(call: Tools) -> None:
    for asked in ({}, {"entity": "Ada", "fact": 1}):
        assert "exactly one" in await call("forget", fails=True, **asked)


@pytest.mark.parametrize("tool", ["history", "recall", "overview", "remember"])
async def test_each_answer_is_bounded_and_says_what_is_left_out(memory: Memory, tool: str) -> None:
    call = Tools(memory, max_answer=300)
    facts = [{"subject": "Ada", "predicate": "likes", "object": f"thing {n} {'x' * 100}"} for n in range(60)]
    first = await call("remember", text="Ada likes things.", facts=facts)
    asked: dict[str, Any] = {"history": {"entity": "Ada"}, "recall": {"question": "Ada likes", "limit": 60}}.get(
        tool, {}
    )
    answer = first if tool == "remember" else await call(tool, **asked)
    assert estimate_tokens(answer) <= 300 and "left out" in answer


async def test_no_tool_that_writes_is_listed_where_only_reading_is_allowed(memory: Memory) -> None:
    listed = {tool["name"] for tool in Tools(memory, read_only=True).service.tools}
    assert listed == {"recall", "path", "history", "overview"}
    assert "not found" in await Tools(memory, read_only=True)("forget", fails=True, entity="Ada")


async def test_nothing_that_deletes_for_good_is_listed_where_that_is_not_allowed(memory: Memory) -> None:
    assert "forget" not in {tool["name"] for tool in Tools(memory, deletes=False).service.tools}


@pytest.mark.parametrize("listed", LISTED, ids=lambda listed: str(listed["name"]))
def test_a_description_has_one_example_and_names_another_tool(listed: dict[str, Any]) -> None:
    others = {tool["name"] for tool in LISTED} - {listed["name"]}
    words = set(re.findall(r"\w+", listed["description"]))
    assert listed["description"].count("Example: {") == 1 and words & others
