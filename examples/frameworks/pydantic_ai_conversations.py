"""64 agents of Pydantic AI talk at once, each in a conversation of its own, all in one file.

    pip install 'aiomemdb[pydantic-ai]'
    python examples/frameworks/pydantic_ai_conversations.py [conversations.db]

A function stands for your model: it answers how many messages it was sent.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from typing import Any

from pydantic_ai import Agent, ModelResponse, TextPart
from pydantic_ai.conversation import Conversation
from pydantic_ai.models.function import FunctionModel

import aiomemdb
from aiomemdb.integrations.pydantic_ai import AiomemdbConversationStore

AGENTS, TURNS = 64, 5


def answer(messages: list[Any], info: Any) -> ModelResponse:
    return ModelResponse(parts=[TextPart(f"I was sent {len(messages)} messages")])


async def talk(agent: Agent, store: AiomemdbConversationStore, name: str) -> str:
    for turn in range(TURNS):
        conversation = await store.load(name) or Conversation(conversation_id=name)
        result = await agent.run(f"message {turn}", conversation=conversation)
        await store.save(result)  # the messages that this turn added
    return str(result.output)


async def main(path: str) -> None:
    agent = Agent(FunctionModel(answer))
    async with aiomemdb.connect(path) as db:
        store = AiomemdbConversationStore(db)
        answers = await asyncio.gather(*[talk(agent, store, f"user {number}") for number in range(AGENTS)])
        print(f"{AGENTS} conversations; the last answers:", *sorted(set(answers)))
        print(await db.read_value("SELECT count(*) FROM pydantic_ai_entry"), "messages, each stored once")
        print(db.statistics().writes, "writes in", db.statistics().batches, "commits")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        aiomemdb.run(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(folder, "conversations.db")))
