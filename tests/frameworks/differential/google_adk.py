"""Steps on session services of the Agent Development Kit."""

from __future__ import annotations

import asyncio
from typing import Any

from google.adk.errors import StaleSessionError
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.events import Event, EventActions
from google.adk.platform.time import set_time_provider
from google.adk.sessions import InMemorySessionService
from google.adk.sessions.base_session_service import GetSessionConfig
from google.genai import types
from hypothesis import strategies as st

from aiomemdb import SQLiteDatabase
from aiomemdb.integrations.google_adk import AiomemdbSessionService
from tests.frameworks.differential.harness import Step

APPS, USERS, SESSIONS = ["app", "bpp"], ["u", "v"], ["s", "t"]
FIRST = 1_700_000_000.0

users = st.tuples(st.sampled_from(APPS), st.sampled_from(USERS))
keys = st.tuples(st.sampled_from(APPS), st.sampled_from(USERS), st.sampled_from([*SESSIONS, " s "]))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)
states = st.dictionaries(st.sampled_from(["a", "b", "app:a", "user:a", "user:b", "temp:a"]), values, max_size=3)
configs = st.none() | st.fixed_dictionaries(
    {}, optional={"num_recent_events": st.integers(0, 3), "after_timestamp": st.integers(0, 12).map(FIRST.__add__)}
)


class ADKCase:
    steps: st.SearchStrategy[Step] = st.one_of(
        st.tuples(st.just("create"), st.tuples(keys, st.none() | states)),
        st.tuples(st.just("append"), st.tuples(keys, states, st.text(max_size=4), st.booleans())),
        st.tuples(st.just("append"), st.tuples(keys, states, st.text(max_size=4), st.just(False))),
        st.tuples(st.just("get"), st.tuples(keys, configs)),
        st.tuples(st.just("delete"), st.tuples(keys)),
    )

    def theirs(self) -> Any:
        return InMemorySessionService()

    def ours(self, db: SQLiteDatabase) -> Any:
        return AiomemdbSessionService(db)

    async def do(self, subject: Any, number: int, step: Step) -> Any:
        verb, (key, *rest) = step
        at = FIRST + number
        set_time_provider(lambda: at)
        named = _named(*key)
        match verb, rest:
            case "create", [state]:
                try:
                    return _shown(await subject.create_session(state=state, **named))
                except AlreadyExistsError as error:
                    return str(error)
            case "get", [config]:
                config = None if config is None else GetSessionConfig(**config)
                return _shown(await subject.get_session(config=config, **named))
            case "delete", []:
                return await subject.delete_session(**named)
            case "append", [delta, text, twice]:
                session = await subject.get_session(**named)
                if session is None:
                    return None
                event = Event(
                    id=f"event {number}",
                    invocation_id="i",
                    author="user",
                    timestamp=at,
                    content=types.Content(role="user", parts=[types.Part(text=text)]),
                    actions=EventActions(state_delta=delta),
                )
                await subject.append_event(session, event)
                if twice:
                    await subject.append_event(session, event.model_copy(deep=True))
                return _shown(session)
        raise AssertionError(verb)

    async def look(self, subject: Any) -> Any:
        sessions = [
            _shown(await subject.get_session(**_named(app, user, name)))
            for app in APPS
            for user in USERS
            for name in SESSIONS
        ]
        listed = [
            [_shown(s) for s in (await subject.list_sessions(app_name=app, user_id=user)).sessions]
            for app in APPS
            for user in [None, *USERS]
        ]
        states = [await subject.get_user_state(app_name=app, user_id=user) for app in APPS for user in USERS]
        return sessions, listed, states

    async def end(self, subject: Any) -> None:
        pass


def _named(app: str, user: str, session: str) -> dict[str, str]:
    return {"app_name": app, "user_id": user, "session_id": session}


def _shown(session: Any) -> Any:
    return None if session is None else session.model_dump(mode="json")


class ADKConversation:
    """The second text is in the state of the session, in which each event counts one up."""

    def __init__(self, db: SQLiteDatabase) -> None:
        self._service = AiomemdbSessionService(db)

    async def start(self) -> None:
        await self._service.create_session(**_named("app", "u", "s"), state={"n": 0})

    async def say(self, first: str, second: str) -> None:
        while True:
            session = await self._service.get_session(**_named("app", "u", "s"))
            assert session is not None
            number = session.state["n"]
            content = types.Content(role="user", parts=[types.Part(text=first)])
            # One time for all: times of events do not tell which session is stale.
            actions = EventActions(state_delta={"n": number + 1, f"said {number}": second})
            try:
                await self._service.append_event(
                    session, Event(author="user", content=content, actions=actions, timestamp=FIRST)
                )
                return
            except StaleSessionError:
                await asyncio.sleep(0)

    async def said(self) -> list[str]:
        session = await self._service.get_session(**_named("app", "u", "s"))
        assert session is not None and session.state["n"] == len(session.events)
        said = []
        for number, event in enumerate(session.events):
            said += [event.content.parts[0].text, session.state[f"said {number}"]]
        return said
