"""The Agent Development Kit on an aiomemdb database."""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from google.adk.cli.service_registry import get_service_registry
from google.adk.cli.utils.service_factory import create_memory_service_from_options, create_session_service_from_options
from google.adk.errors import StaleSessionError
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events import Event, EventActions
from google.adk.sessions import Session
from google.adk.sessions.sqlite_session_service import SqliteSessionService
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

import aiomemdb
from aiomemdb import SQLiteDatabase
from aiomemdb.integrations.google_adk import AiomemdbMemoryService, AiomemdbSessionService, register
from tests.frameworks.attacks import NO_KEYS, attack, refuses, survives_cancellations
from tests.frameworks.differential.google_adk import ADKCase, ADKConversation
from tests.frameworks.differential.google_adk_memory import MemoryCase
from tests.frameworks.differential.harness import WAYS, Case
from tests.frameworks.examples import run_example, run_guide
from tests.frameworks.hostile import loses_nothing_to_a_kill
from tests.support.fleet import Fleet
from tests.support.nursery import Worker
from tests.support.plain import plain

USER: Any = {"app_name": "app", "user_id": "u"}
SESSION: Any = {**USER, "session_id": "s"}


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        yield db


def event(text: str = "", *, state: dict[str, Any] | None = None, **more: Any) -> Event:
    content = types.Content(role="user", parts=[types.Part(text=text)])
    return Event(author="user", content=content, actions=EventActions(state_delta=state or {}), **more)


async def got(service: Any, **which: Any) -> Session:
    session: Session | None = await service.get_session(**{**SESSION, **which})
    assert session is not None
    return session


@pytest.mark.parametrize("case", [ADKCase, MemoryCase])
@pytest.mark.parametrize("way", WAYS)
def test_random_steps_return_what_its_own_class_returns(way: Callable[[Case], None], case: type[Case]) -> None:
    way(case())


# -- sessions


async def count_up(worker: Worker, path: str, times: int) -> None:
    async with aiomemdb.connect(path) as db:
        conversation = ADKConversation(db)
        worker.meet()
        for number in range(times):
            await conversation.say(f"{worker.number} {number}", "")


async def test_160_optimistic_increments_by_two_processes_are_160(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await ADKConversation(db).start()
    with Fleet(limit=120) as fleet:
        for _ in range(2):
            fleet.start(count_up, path=str(db_path), times=80)
        fleet.finish()
    async with aiomemdb.connect(db_path) as db:
        session = await got(AiomemdbSessionService(db))
        assert session.state["n"] == len(session.events) == 160


async def test_a_session_that_others_have_written_is_stale_whatever_their_clocks(db: SQLiteDatabase) -> None:
    service = AiomemdbSessionService(db)
    await service.create_session(**SESSION)
    first, second = await got(service), await got(service)
    await service.append_event(first, event("1", timestamp=5.0))
    with pytest.raises(StaleSessionError):
        await service.append_event(second, event("2", timestamp=9e9))
    third = await got(service)
    await service.append_event(first, event("3", timestamp=4.0))
    with pytest.raises(StaleSessionError):
        await service.append_event(third, event("4", timestamp=9e9))
    assert [e.content.parts[0].text for e in (await got(service)).events] == ["1", "3"]


async def test_tasks_may_append_to_one_session_object_at_once(db: SQLiteDatabase) -> None:
    service = AiomemdbSessionService(db)
    session = await service.create_session(**SESSION)
    await asyncio.gather(*[service.append_event(session, event(f"{n}", state={f"k{n}": n})) for n in range(64)])
    stored = await got(service)
    assert len(stored.events) == 64 and stored.events == session.events
    assert stored.state == session.state == {f"k{n}": n for n in range(64)}
    assert stored.last_update_time == session.last_update_time


async def test_an_event_that_is_appended_again_changes_nothing(db: SQLiteDatabase) -> None:
    service = AiomemdbSessionService(db)
    await service.create_session(**SESSION)
    once = event("x", id="one", state={"n": 1}, timestamp=1.0)
    await service.append_event(await got(service), once.model_copy(deep=True))
    before = await got(service)
    await service.append_event(before, once.model_copy(deep=True))
    assert await got(service) == before
    with pytest.raises(AlreadyExistsError, match="one"):
        await service.append_event(before, event("another", id="one"))
    assert await got(service) == before


async def test_what_is_temporary_is_in_the_session_and_not_in_the_file(db: SQLiteDatabase, db_path: Path) -> None:
    service = AiomemdbSessionService(db)
    session = await service.create_session(**SESSION, state={"temp:a": 1})
    await service.append_event(session, event(state={"temp:b": "SECRET", "c": 3}))
    assert session.state == {"temp:b": "SECRET", "c": 3}
    assert (await got(service)).state == {"c": 3}
    assert not any("SECRET" in data for (data,) in plain(db_path, "SELECT event_data FROM events"))


async def test_a_state_that_is_no_json_is_stored_by_its_looks(db: SQLiteDatabase, caplog: Any) -> None:
    service = AiomemdbSessionService(db)
    await service.create_session(**SESSION, state={"when": asyncio.Lock, "n": 2**70, "x": 0.1 + 0.2})
    state = (await got(service)).state
    assert (state["n"], state["x"]) == (2**70, 0.1 + 0.2) and "Lock" in state["when"]
    assert "not JSON" in caplog.text


async def test_a_session_that_was_deleted_takes_no_event(db: SQLiteDatabase) -> None:
    service = AiomemdbSessionService(db)
    session = await service.create_session(**SESSION)
    await service.append_event(session, event("x"))
    await service.delete_session(**SESSION)
    with pytest.raises(SessionNotFoundError):
        await service.append_event(session, event("y"))
    assert await db.read_value("SELECT count(*) FROM events") == 0


async def test_an_append_is_one_job(db: SQLiteDatabase) -> None:
    service = AiomemdbSessionService(db)
    session = await service.create_session(**SESSION)
    before = db.statistics().writes
    await service.append_event(session, event("x", state={"a": 1, "app:a": 2, "user:a": 3}))
    assert db.statistics().writes == before + 1


async def test_a_file_goes_to_adk_s_own_service_and_back(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        ours = AiomemdbSessionService(db)
        session = await ours.create_session(**SESSION, state={"a": 1, "app:b": [2], "user:c": None})
        await ours.append_event(session, event("1", state={"a": 2}))
    theirs = SqliteSessionService(str(db_path))
    gc.collect()  # it has looked at the file by a connection that it leaves to the collector
    session = await got(theirs)
    assert session.state == {"a": 2, "app:b": [2], "user:c": None}
    await theirs.append_event(session, event("2", state={"user:c": 3}))
    async with aiomemdb.connect(db_path) as db:
        session = await got(AiomemdbSessionService(db))
        assert session.state["user:c"] == 3
        assert [e.content.parts[0].text for e in session.events] == ["1", "2"]


async def test_the_latest_events_are_found_without_sorting(db: SQLiteDatabase) -> None:
    await AiomemdbSessionService(db).create_session(**SESSION)
    sql = "EXPLAIN QUERY PLAN SELECT event_data FROM events WHERE app_name = ? AND user_id = ? AND session_id = ? "
    plan = await db.read(sql + "ORDER BY rowid DESC LIMIT ?", ("app", "u", "s", 3))
    assert not any("TEMP B-TREE" in row["detail"] for row in plan)


async def test_sessions_withstand_what_is_wrong(db_path: Path) -> None:
    async def append(service: AiomemdbSessionService, text: str) -> None:
        session = await service.get_session(**SESSION) or await service.create_session(**SESSION)
        await service.append_event(session, event(text))

    await attack(db_path, AiomemdbSessionService, append, "sessions")


@pytest.mark.parametrize("name", ["app_name", "user_id", "session_id"])
@pytest.mark.parametrize("value", [*NO_KEYS, 7])
async def test_a_key_that_can_t_be_kept_is_an_error(db: SQLiteDatabase, name: str, value: Any) -> None:
    service = AiomemdbSessionService(db)
    await service.create_session(**SESSION)
    wrong: Any = {**SESSION, name: value}
    for call in (service.create_session, service.get_session, service.delete_session):
        await refuses(db, lambda call=call: call(**wrong), name)  # type: ignore[misc]


@pytest.mark.parametrize("number", [math.nan, math.inf])
async def test_an_event_that_could_not_be_read_again_is_an_error_and_the_session_can_still_be_read(
    db: SQLiteDatabase, number: float
) -> None:
    service = AiomemdbSessionService(db)
    session = await service.create_session(**SESSION)
    await refuses(db, lambda: service.append_event(session, event("x", timestamp=number)), "timestamp")
    call = types.Part.from_function_call(name="f", args={"score": number, "text": "null"})
    content = types.Content(role="user", parts=[call])
    await service.append_event(session, Event(author="user", content=content))
    [found] = (await got(service)).events
    assert found.get_function_calls()[0].args == {"score": None, "text": "null"}


async def test_appends_that_are_cancelled_leave_nothing_open(db: SQLiteDatabase) -> None:
    service = AiomemdbSessionService(db)
    for number in range(5):
        await service.create_session(**USER, session_id=f"{number}")

    async def append(number: int) -> None:
        session = await got(service, session_id=f"{number % 5}")
        await service.append_event(session, event("x"))

    await survives_cancellations(db, append)


# -- memory


async def test_memories_are_found_by_their_words_and_the_best_come_first(db: SQLiteDatabase) -> None:
    memory = AiomemdbMemoryService(db)
    said = ["tea with Ada at four", "coffee with Charles", "Ada and Charles drink TEA, tea and tea"]
    await memory.add_events_to_memory(**USER, events=[event(text, id=text) for text in said])
    found = await memory.search_memory(**USER, query="tea, with Ada?")
    assert found.memories[0].id == said[0]
    assert {entry.id for entry in found.memories} == {*said}
    assert (await memory.search_memory(app_name="app", user_id="v", query="tea")).memories == []


@pytest.mark.parametrize("query", ["Python", "python使", "東京", "東", "京都"])
async def test_scripts_without_spaces_are_found_by_parts(db: SQLiteDatabase, query: str) -> None:
    memory = AiomemdbMemoryService(db)
    said = ["私はPythonを使う", "東京に住む", "京都に行く"]
    await memory.add_events_to_memory(**USER, events=[event(text, id=text) for text in said])
    found = {entry.id for entry in (await memory.search_memory(**USER, query=query)).memories}
    wanted = {"Python": {said[0]}, "python使": {said[0]}, "東京": {said[1]}, "東": {said[1]}, "京都": {said[2]}}
    assert found == wanted[query]


def test_any_text_is_a_query(tmp_path: Path) -> None:
    async def main() -> None:
        async with aiomemdb.connect(tmp_path / "a.db") as db:
            memory = AiomemdbMemoryService(db)
            await memory.add_events_to_memory(**USER, events=[event("tea NEAR words OR scope : x")])
            for query in queries:
                await memory.search_memory(**USER, query=query)

    queries = ['"', "a OR", "NEAR(a b)", "scope : x", "words:*", "^x", "\0", "\ud800", "x" * 100_000, "{a b}: c", ""]
    queries.append(" ".join(map(str, range(20_000))))

    @given(st.lists(st.text(max_size=30), max_size=20))
    def collect(texts: list[str]) -> None:
        queries.extend(texts)

    collect()
    aiomemdb.run(main())


async def test_memory_withstands_what_is_wrong(db_path: Path) -> None:
    await attack(
        db_path,
        AiomemdbMemoryService,
        lambda memory, text: memory.add_events_to_memory(**USER, events=[event(text)]),
        "adk_memory",
    )


async def test_a_thousand_others_memories_do_not_slow_a_search(db: SQLiteDatabase) -> None:
    memory = AiomemdbMemoryService(db)
    for number in range(3):
        said = [event("tea", id=f"{n}") for n in range(50)]
        await memory.add_events_to_memory(app_name="app", user_id=f"{number}", events=said)
    found = await memory.search_memory(app_name="app", user_id="2", query="tea")
    assert len(found.memories) == 10


# -- the registry


@pytest.fixture
def registered() -> None:
    register()


@pytest.mark.usefixtures("registered")
async def test_adk_opens_a_file_by_its_uri_when_it_is_first_used(tmp_path: Path) -> None:
    uri = f"aiomemdb:///{tmp_path}/a.db?durability=full"
    sessions: Any = create_session_service_from_options(base_dir=tmp_path, session_service_uri=uri)
    memory: Any = create_memory_service_from_options(base_dir=tmp_path, memory_service_uri=uri)
    assert isinstance(sessions, AiomemdbSessionService) and isinstance(memory, AiomemdbMemoryService)
    assert list(tmp_path.iterdir()) == []
    try:
        session, found = await asyncio.gather(
            sessions.create_session(**SESSION), memory.search_memory(**USER, query="tea")
        )
        assert found.memories == []
        await memory.close()  # they share one database
        await memory.close()
        assert await got(sessions) == session  # which is opened again
    finally:
        await sessions.close()


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("uri", "match"),
    [
        ("aiomemdb:///a.db?colour=red", "no option 'colour'"),
        ("aiomemdb:///a.db?readers=many", "readers='many'"),
        ("aiomemdb:///a.db?readers=0", "readers"),
        ("aiomemdb:///a.db?durability=some", "durability"),
        ("aiomemdb://a.db", "aiomemdb:///relative.db"),
        ("aiomemdb:///", "aiomemdb:///relative.db"),
        ("aiomemdb:///a.db#x", "aiomemdb:///relative.db"),
    ],
)
def test_a_uri_that_is_wrong_is_an_error_at_once(uri: str, match: str) -> None:
    for create in (get_service_registry().create_session_service, get_service_registry().create_memory_service):
        with pytest.raises(ValueError, match=match):
            create(uri)


@pytest.mark.usefixtures("registered")
def test_options_that_adk_hands_on_are_an_error() -> None:
    with pytest.raises(ValueError, match="pool_size"):
        get_service_registry().create_session_service("aiomemdb:///a.db", agents_dir=".", pool_size=3)


def test_the_example_loses_nothing(db_path: Path) -> None:
    assert run_example("google_adk_sessions", db_path).startswith("320 questions of 64 users\n640 events")


async def test_four_processes_lose_nothing_though_one_is_killed(db_path: Path) -> None:
    await loses_nothing_to_a_kill(db_path, ADKConversation)


def test_the_blocks_of_its_guide_run(tmp_path: Path) -> None:
    run_guide(
        "guides/google-adk.md",
        tmp_path,
        """
        from google_adk_sessions import Counter
        agent = Counter(name="counter")
    """,
    )
    assert list(tmp_path.glob("*.db"))
