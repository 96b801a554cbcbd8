"""64 users talk to an agent of the Agent Development Kit at once: sessions, states and memory are in one file.

    pip install 'aiomemdb[adk]'
    python examples/frameworks/google_adk_sessions.py [adk.db]

An agent without a model stands for yours: it counts what it was asked, in the session's state.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncGenerator
from typing import Any

from google.adk.agents import BaseAgent
from google.adk.events import Event, EventActions
from google.adk.runners import Runner
from google.genai import types

import aiomemdb
from aiomemdb.integrations.google_adk import AiomemdbMemoryService, AiomemdbSessionService

USERS, TURNS = 64, 5


def says(role: str, text: str) -> types.Content:
    return types.Content(role=role, parts=[types.Part(text=text)])


class Counter(BaseAgent):
    async def _run_async_impl(self, ctx: Any) -> AsyncGenerator[Event, None]:
        asked = ctx.session.state.get("asked", 0) + 1
        actions = EventActions(state_delta={"asked": asked})
        yield Event(author=self.name, content=says("model", f"question {asked}"), actions=actions)


async def talk(runner: Runner, user: str) -> int:
    session = await runner.session_service.create_session(app_name="app", user_id=user)
    for turn in range(TURNS):
        async for _ in runner.run_async(user_id=user, session_id=session.id, new_message=says("user", f"tea {turn}?")):
            pass
    session = await runner.session_service.get_session(app_name="app", user_id=user, session_id=session.id)
    await runner.memory_service.add_session_to_memory(session)
    return int(session.state["asked"])


async def main(path: str) -> None:
    async with aiomemdb.connect(path) as db:
        services: Any = {"session_service": AiomemdbSessionService(db), "memory_service": AiomemdbMemoryService(db)}
        runner = Runner(app_name="app", agent=Counter(name="counter"), **services)
        counts = await asyncio.gather(*[talk(runner, f"user {number}") for number in range(USERS)])
        print(sum(counts), "questions of", USERS, "users")
        print(await db.read_value("SELECT count(*) FROM events"), "events in", db.statistics().batches, "commits")
        found = await runner.memory_service.search_memory(app_name="app", user_id="user 7", query="tea 3")
        print("remembered:", found.memories[0].content.parts[0].text)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        aiomemdb.run(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(folder, "adk.db")))
