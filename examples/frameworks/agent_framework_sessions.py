"""64 agents of Microsoft's Agent Framework talk at once; their histories and sessions are in one file.

    pip install 'aiomemdb[agent-framework]'
    python examples/frameworks/agent_framework_sessions.py [agents.db]

A chat client stands for your model: it answers how many messages it was sent.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from typing import Any

from agent_framework import Agent, AgentSession, BaseChatClient, ChatResponse, FunctionInvocationLayer, Message

import aiomemdb
from aiomemdb.integrations.agent_framework import AiomemdbHistoryProvider, AiomemdbSessionStore

AGENTS, TURNS = 64, 5


class FakeClient(FunctionInvocationLayer, BaseChatClient):
    async def _inner_get_response(self, *, messages: Any, stream: bool, options: Any, **kwargs: Any) -> ChatResponse:
        return ChatResponse(messages=[Message("assistant", [f"I was sent {len(messages)} messages"])])


async def talk(db: aiomemdb.SQLiteDatabase, name: str) -> str:
    agent = Agent(client=FakeClient(), context_providers=[AiomemdbHistoryProvider(db)])
    sessions = AiomemdbSessionStore(db)
    for turn in range(TURNS):
        session = await sessions.get(name) or AgentSession(session_id=name)
        response = await agent.run(f"message {turn}", session=session)
        await sessions.set(name, session)
    return response.text


async def main(path: str) -> None:
    async with aiomemdb.connect(path) as db:
        answers = await asyncio.gather(*[talk(db, f"user {number}") for number in range(AGENTS)])
        print(f"{AGENTS} sessions; the last answers:", *sorted(set(answers)))
        print(await db.read_value("SELECT count(*) FROM agent_framework_message"), "messages")
        print(db.statistics().writes, "writes in", db.statistics().batches, "commits")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        aiomemdb.run(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(folder, "agents.db")))
