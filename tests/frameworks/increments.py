"""Processes that each count one up in the state of a session of ADK, again where the session is stale."""

from __future__ import annotations

from google.adk.errors import StaleSessionError
from google.adk.events import Event, EventActions

import aiomemdb
from aiomemdb.integrations.google_adk import AiomemdbSessionService
from tests.support.nursery import Worker

__all__ = ["count_up"]

SESSION = {"app_name": "app", "user_id": "u", "session_id": "s"}


async def count_up(worker: Worker, path: str, times: int) -> None:
    async with aiomemdb.connect(path) as db:
        service = AiomemdbSessionService(db)
        worker.meet()
        stale = 0
        for _ in range(times):
            while True:
                session = await service.get_session(**SESSION)
                assert session is not None
                state = {"n": session.state["n"] + 1}
                # One time for all: times of events do not tell which session is stale.
                event = Event(author="user", timestamp=1.0, actions=EventActions(state_delta=state))
                try:
                    await service.append_event(session, event)
                    break
                except StaleSessionError:
                    stale += 1
        worker.report(stale=stale)
