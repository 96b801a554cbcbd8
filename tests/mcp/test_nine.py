"""The nine tools, where the memory is more than the reference server's graph, or differs from it by intention."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import aiomemdb
from aiomemdb import Memory
from aiomemdb.mcp.answers import SIZE
from aiomemdb.mcp.nine import DELETING, WRITING
from aiomemdb.mcp.serving import MemoryService, Options
from tests.mcp.clients import URI, FakeClient
from tests.support.others import OtherProcess
from tests.support.whole import eventually

EMPTY = {"entities": [], "relations": []}


class Tools:
    def __init__(self, memory: Memory, **options: Any) -> None:
        self.service = MemoryService(memory, Options(**options))
        self.client = FakeClient("desktop")

    async def __call__(self, tool: str, /, **asked: Any) -> Any:
        answer = await self.service.call(tool, asked, self.client)
        assert not answer.failed, answer
        return answer.structured

    async def error(self, tool: str, /, **asked: Any) -> str:
        answer = await self.service.call(tool, asked, self.client)
        assert answer.failed and answer.structured is None
        return answer.text

    async def graph(self) -> Any:
        return await self("read_graph")


@pytest_asyncio.fixture(params=["folded", "exact"])
async def memory(place: Path | str, request: pytest.FixtureRequest) -> AsyncIterator[Memory]:
    async with Memory.open(place, normaliser=request.param) as opened:
        yield opened


@pytest_asyncio.fixture
async def folded(place: Path | str) -> AsyncIterator[Memory]:
    async with Memory.open(place) as opened:
        yield opened


@pytest.fixture
def call(memory: Memory) -> Tools:
    return Tools(memory)


def entity(name: str, type: str = "person", *observations: str) -> dict[str, Any]:
    return {"name": name, "entityType": type, "observations": list(observations)}


def relation(one: str, other: str, type: str = "knows") -> dict[str, str]:
    return {"from": one, "to": other, "relationType": type}


# -- one memory --------------------------------------------------------------------------------------------------------


async def test_what_agents_of_the_python_api_wrote_is_in_the_graph(call: Tools, memory: Memory) -> None:
    await memory.find_or_create_entity("Ada", "person", "a mathematician")
    await memory.remember("Ada moved to Ockham.", [("Ada", "LIVES_IN", "Ockham")])
    await memory.add_fact("Ada", "observation", value="likes tea")
    await memory.add_fact("Ada", "born", value=1815)
    assert await call.graph() == {
        "entities": [entity("Ada", "person", "likes tea"), entity("Ockham", "")],
        "relations": [relation("Ada", "Ockham", "LIVES_IN")],
    }


async def test_what_is_created_here_is_found_by_recall_with_the_clients_name(call: Tools, memory: Memory) -> None:
    await call("create_entities", entities=[entity("Ada", "person", "likes black tea")])
    await call("create_relations", relations=[relation("Ada", "Ockham", "lives in")])
    assert "likes black tea" in (await memory.recall("What tea does Ada like?")).to_prompt()
    assert [fact.agent for fact in await memory.facts("Ada")] == ["desktop", "desktop"]


async def test_an_observation_that_is_no_text_is_shown_as_one(call: Tools, memory: Memory) -> None:
    for value in (42, 1.5, True, "x"):
        await memory.add_fact("Ada", "observation", value=value)
    assert (await call.graph())["entities"] == [entity("Ada", "", "42", "1.5", "true", "x")]


async def test_a_fact_that_holds_in_two_periods_is_shown_once(call: Tools, memory: Memory) -> None:
    from datetime import UTC, datetime

    await memory.add_fact("Ada", "knows", "Eve", invalid_at=datetime(2100, 1, 1, tzinfo=UTC))
    await memory.add_fact("Ada", "knows", "Eve", valid_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert (await call.graph())["relations"] == [relation("Ada", "Eve")]


async def test_a_server_reads_further_namespaces_and_writes_to_its_own(place: Path | str) -> None:
    async with Memory.open(place, namespace="mine") as memory:
        await memory.scoped(namespace="team").find_or_create_entity("Ockham", "place")
        await memory.scoped(namespace="private").find_or_create_entity("Eve")
        call = Tools(memory, also_read=("team",))
        await call("create_entities", entities=[entity("Ada")])
        assert [each["name"] for each in (await call.graph())["entities"]] == ["Ockham", "Ada"]
        assert (await memory.counts()).entities == 1


# -- names -------------------------------------------------------------------------------------------------------------


async def test_names_are_folded_unless_the_file_says_otherwise(folded: Memory) -> None:
    call = Tools(folded)
    await call("create_entities", entities=[entity("Acme Corp", "company")])
    assert await call("create_entities", entities=[entity("ACME  corp", "firm")]) == {"entities": []}
    [result] = (await call("add_observations", observations=[{"entityName": "acme corp", "contents": ["big"]}]))[
        "results"
    ]
    assert result == {"entityName": "acme corp", "addedObservations": ["big"]}
    assert (await call("open_nodes", names=["aCME CORP"]))["entities"] == [entity("Acme Corp", "company", "big")]


async def test_an_entity_that_a_relation_alone_names_is_in_no_answer_until_it_is_created(call: Tools) -> None:
    await call("create_relations", relations=[relation("Ada", "Eve")])
    assert await call.graph() == {"entities": [], "relations": [relation("Ada", "Eve")]}
    assert await call("open_nodes", names=["Ada"]) == EMPTY
    assert await call("search_nodes", query="ada") == EMPTY
    observed = {"entityName": "Ada", "contents": ["x"]}
    assert await call.error("add_observations", observations=[observed]) == "Entity with name Ada not found"
    assert await call("create_entities", entities=[entity("Ada", "person", "x")]) == {
        "entities": [entity("Ada", "person", "x")]
    }
    assert await call("open_nodes", names=["Ada"]) == {
        "entities": [entity("Ada", "person", "x")],
        "relations": [relation("Ada", "Eve")],
    }


async def test_the_entity_of_an_observation_must_be_there_although_it_adds_none(call: Tools) -> None:
    await call("create_entities", entities=[entity("Ada")])
    nothing = [{"entityName": name, "contents": []} for name in ("Ada", "Eve")]
    assert await call.error("add_observations", observations=nothing) == "Entity with name Eve not found"
    some = [{"entityName": "Ada", "contents": ["x"]}, nothing[1]]
    assert await call.error("add_observations", observations=some) == "Entity with name Eve not found"
    assert (await call.graph())["entities"] == [entity("Ada")]
    assert await call("add_observations", observations=nothing[:1]) == {
        "results": [{"entityName": "Ada", "addedObservations": []}]
    }


async def test_a_call_that_fails_changes_nothing(call: Tools, memory: Memory) -> None:
    await call("create_entities", entities=[entity("Ada")])
    before = await memory.counts()
    await call.error("create_entities", entities=[entity("New"), entity(" ")])
    await call.error("create_entities", entities=[entity("New", "t", "x\0y")])
    await call.error("create_relations", relations=[relation("Ada", "Eve"), relation("Ada", "Eve", "")])
    await call.error("add_observations", observations=[{"entityName": n, "contents": ["x"]} for n in ("Ada", "Eve")])
    assert await memory.counts() == before


# -- the deviations that docs/guides/mcp.md lists ----------------------------------------------------------------------


async def test_what_comes_twice_in_one_call_is_one(call: Tools) -> None:
    twice = [entity("Ada", "person", "x", "x"), entity("Ada", "place", "y")]
    assert await call("create_entities", entities=twice) == {"entities": [entity("Ada", "person", "x")]}
    assert await call("create_relations", relations=[relation("Ada", "Eve")] * 2) == {
        "relations": [relation("Ada", "Eve")]
    }
    observed = [{"entityName": "Ada", "contents": ["z", "z"]}]
    assert await call("add_observations", observations=observed) == {
        "results": [{"entityName": "Ada", "addedObservations": ["z"]}]
    }


@pytest.mark.parametrize("name", ["", " ", "\u200b", "x" * 1001, "a\0b"])
async def test_a_name_that_no_memory_holds_is_an_error_where_something_is_made(call: Tools, name: str) -> None:
    assert "name" in await call.error("create_entities", entities=[entity(name)])
    for wrong in (relation(name, "Ada"), relation("Ada", name), relation("Ada", "Eve", name)):
        await call.error("create_relations", relations=[wrong])
    await call.error("add_observations", observations=[{"entityName": name, "contents": ["x"]}])
    assert await call.graph() == EMPTY


@pytest.mark.parametrize("name", ["", " ", "\u200b", "x" * 1001, "a\0b"])
async def test_a_name_that_no_memory_holds_names_nothing_elsewhere(call: Tools, name: str) -> None:
    await call("create_entities", entities=[entity("Ada", "person", "x")])
    before = await call.graph()
    await call("delete_entities", entityNames=[name])
    await call("delete_observations", deletions=[{"entityName": name, "observations": ["x"]}])
    await call("delete_relations", relations=[relation(name, "Ada"), relation("Ada", "Ada", name)])
    assert (await call("open_nodes", names=[name]))["entities"] == []
    assert await call.graph() == before


async def test_a_type_of_spaces_alone_is_none(call: Tools) -> None:
    assert await call("create_entities", entities=[entity("Ada", "  ")]) == {"entities": [entity("Ada", "")]}


# -- deleting ----------------------------------------------------------------------------------------------------------


async def test_what_is_deleted_of_an_entity_stays_in_its_history(call: Tools, memory: Memory) -> None:
    await call("create_entities", entities=[entity("Ada", "person", "x")])
    await call("create_relations", relations=[relation("Ada", "Ada")])
    facts = list(await memory.facts("Ada"))
    await call("delete_observations", deletions=[{"entityName": "Ada", "observations": ["x", "not there"]}])
    await call("delete_relations", relations=[relation("Ada", "Ada"), relation("Ada", "Eve")])
    assert await call.graph() == {"entities": [entity("Ada")], "relations": []}
    for fact in facts:
        assert [event.operation for event in await memory.history(fact)] == ["create", "retract"]


async def test_deleted_entities_are_forgotten(call: Tools, memory: Memory) -> None:
    await call("create_entities", entities=[entity("Ada", "person", "x"), entity("Eve")])
    await call("create_relations", relations=[relation("Ada", "Eve"), relation("Eve", "Ada")])
    await call("delete_entities", entityNames=["Ada", "nowhere"])
    assert await call.graph() == {"entities": [entity("Eve")], "relations": []}
    counts = await memory.counts()
    assert (counts.entities, counts.facts, counts.expired_facts) == (1, 0, 0)


async def test_deleted_entities_may_be_kept_in_the_history(memory: Memory) -> None:
    call = Tools(memory, retracts=True)
    await call("create_entities", entities=[entity("Ada", "person", "x"), entity("Eve")])
    await call("create_relations", relations=[relation("Ada", "Eve")])
    await call("delete_entities", entityNames=["Ada"])
    assert await call.graph() == {"entities": [entity("Eve")], "relations": []}
    assert (await memory.counts()).expired_facts == 2
    assert await call("create_entities", entities=[entity("Ada", "place")]) == {"entities": [entity("Ada", "place")]}
    assert (await call.graph())["entities"] == [entity("Eve"), entity("Ada", "place")]


async def test_tools_that_are_not_allowed_are_not_listed_and_not_run(memory: Memory) -> None:
    for options, left_out in (({"read_only": True}, WRITING), ({"deletes": False}, DELETING)):
        call = Tools(memory, **options)
        listed = {tool["name"] for tool in call.service.tools}
        assert not listed & left_out and len(listed) == 9 - len(left_out)
        assert await call.error("delete_entities", entityNames=[]) == (
            "MCP error -32602: Tool delete_entities not found"
        )


def test_full_is_sixteen_tools(folded: Memory) -> None:
    assert len(Tools(folded, tools="full").service.tools) == 16
    assert len(Tools(folded, tools="memory").service.tools) == 7


# -- size, and changes -------------------------------------------------------------------------------------------------


async def test_a_large_answer_is_whole_and_says_how_large_it_is(memory: Memory) -> None:
    call = Tools(memory, max_answer=100)
    await call("create_entities", entities=[entity("Ada", "person", "x" * 1000)])
    for tool, asked in (("read_graph", {}), ("search_nodes", {"query": "a"}), ("open_nodes", {"names": ["Ada"]})):
        answer = await call.service.call(tool, asked, call.client)
        assert answer.meta is not None and answer.meta[SIZE] > 250
        assert "x" * 1000 in answer.text
    small = await call.service.call("open_nodes", {"names": []}, call.client)
    assert small.meta is None


async def test_a_subscriber_is_told_until_it_is_gone(memory: Memory) -> None:
    service = MemoryService(memory, Options())
    told, gone = FakeClient(), FakeClient()

    async def fail() -> None:
        gone.told.append(URI)
        raise ConnectionError

    try:
        await service.watching()
        service.subscribe(URI, "one", lambda: told.updated(URI))
        service.subscribe(URI, "two", fail)
        await memory.add_entities(["Ada"])
        await eventually(lambda: bool(told.told and gone.told))
        count = len(told.told)
        await memory.add_entities(["Eve"])
        await eventually(lambda: len(told.told) > count)
        assert gone.told == [URI]
    finally:
        await service.close()


async def test_what_happens_in_other_namespaces_is_told_to_no_subscriber(memory: Memory) -> None:
    service = MemoryService(memory, Options())
    told = FakeClient()
    try:
        await service.watching()
        service.subscribe(URI, "one", lambda: told.updated(URI))
        await memory.scoped(namespace="private").add_entities(["Eve"])
        assert told.told == []
        await memory.add_entities(["Ada"])
        await eventually(lambda: told.told == [URI])
    finally:
        await service.close()


@pytest.mark.sqlite_only
async def test_a_stopped_process_that_has_the_turn_is_named_to_the_client(tmp_path: Path) -> None:
    """Those who only read are answered; a call that writes is, too, with why it could not."""
    path, client = tmp_path / "memory.db", FakeClient()
    ada = {"entities": [{"name": "Ada", "entityType": "person", "observations": []}]}
    async with aiomemdb.connect(path, lock_timeout=0.3) as db, Memory.open(db) as memory:
        service = MemoryService(memory, Options())
        assert not (await service.call("create_entities", ada, client)).failed
        with OtherProcess(path) as other:
            await other.does("turn = Turnstile(path); turn.open(); turn.acquire(0)")
            other.stop()
            refused = await service.call(
                "create_entities", {"entities": [{**ada["entities"][0], "name": "Bob"}]}, client
            )
            assert refused.failed
            assert f"process {other.pid}" in refused.text and "which is stopped, has kept the turn" in refused.text
            for tool, asked in (
                ("read_graph", {}),
                ("search_nodes", {"query": "ada"}),
                ("open_nodes", {"names": ["Ada"]}),
            ):
                answer = await service.call(tool, asked, client)
                assert "Ada" in answer.text and "Bob" not in answer.text and not answer.failed
        assert not (await service.call("create_entities", ada, client)).failed
