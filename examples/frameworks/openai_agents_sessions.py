"""64 agents of the OpenAI Agents SDK talk at once, each in a session of its own, all in one file.

    pip install 'aiomemdb[openai]'
    python examples/frameworks/openai_agents_sessions.py [sessions.db]

A scripted model stands for yours: it answers how many messages it was sent.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from typing import Any

from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled
from openai.types.responses import ResponseOutputMessage, ResponseOutputText

import aiomemdb
from aiomemdb.integrations.openai_agents import AiomemdbSession

AGENTS, TURNS = 64, 5


class FakeModel(Model):
    async def get_response(
        self, system_instructions: str | None, input: Any, *args: Any, **kwargs: Any
    ) -> ModelResponse:
        text = ResponseOutputText(text=f"I was sent {len(input)} messages", type="output_text", annotations=[])
        message = ResponseOutputMessage(id="1", type="message", role="assistant", content=[text], status="completed")
        return ModelResponse(output=[message], usage=Usage(), response_id=None)

    def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


async def talk(agent: Agent, db: aiomemdb.SQLiteDatabase, user: str) -> str:
    for turn in range(TURNS):
        result = await Runner.run(agent, f"message {turn}", session=AiomemdbSession(user, db))
    return str(result.final_output)


async def main(path: str) -> None:
    set_tracing_disabled(True)
    agent = Agent(name="helper", model=FakeModel())
    async with aiomemdb.connect(path) as db:
        answers = await asyncio.gather(*[talk(agent, db, f"user {number}") for number in range(AGENTS)])
        print(f"{AGENTS} sessions; the last answers:", *sorted(set(answers)))
        print(await db.read_value("SELECT count(*) FROM agent_messages"), "items")
        print(db.statistics().writes, "writes in", db.statistics().batches, "commits")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        aiomemdb.run(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(folder, "sessions.db")))
