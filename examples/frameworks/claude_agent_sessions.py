"""64 sessions of the Claude Agent SDK are mirrored into one file, as the SDK does it while they run.

    pip install 'aiomemdb[claude]'
    python examples/frameworks/claude_agent_sessions.py [sessions.db]

In your program: ``ClaudeAgentOptions(session_store=AiomemdbSessionStore(db))``. Here a loop stands for the model.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import uuid
from datetime import UTC, datetime
from typing import Any

from claude_agent_sdk import get_session_messages_from_store, list_sessions_from_store, project_key_for_directory

import aiomemdb
from aiomemdb.integrations.claude_agent import AiomemdbSessionStore

AGENTS, TURNS = 64, 5


def entry(session: str, parent: str | None, role: str, text: str) -> dict[str, Any]:
    at = datetime.now(UTC).isoformat()
    said = {"role": role, "content": text}
    ids = {"uuid": str(uuid.uuid4()), "parentUuid": parent, "sessionId": session}
    return {"type": role, "timestamp": at, "message": said, **ids}


async def agent(store: AiomemdbSessionStore, project: str, number: int) -> str:
    session, parent = str(uuid.uuid4()), None
    for turn in range(TURNS):
        asked = entry(session, parent, "user", f"agent {number} asks {turn}")
        parent = asked["uuid"]
        answered = entry(session, parent, "assistant", f"answer {turn}")
        parent = answered["uuid"]
        await store.append({"project_key": project, "session_id": session}, [asked, answered])
    return session


async def main(path: str) -> None:
    async with aiomemdb.connect(path) as db:
        store, folder = AiomemdbSessionStore(db), os.getcwd()
        sessions = await asyncio.gather(*[agent(store, project_key_for_directory(folder), n) for n in range(AGENTS)])
        print(len(await list_sessions_from_store(store, folder)), "sessions")
        messages = [await get_session_messages_from_store(store, session, folder) for session in sessions]
        print(sum(map(len, messages)), "messages in", db.statistics().batches, "commits")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        aiomemdb.run(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(temporary, "sessions.db")))
