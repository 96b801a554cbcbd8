"""64 LangGraph agents at once: their checkpoints, what they share and what their nodes returned, all in one file.

    pip install langgraph 'aiomemdb[langgraph]'
    python examples/frameworks/langgraph_agents.py [agents.db]

A scripted model stands for yours: it answers how many messages it was sent.
"""

from __future__ import annotations

import asyncio
import operator
import os
import sys
import tempfile
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import CachePolicy

import aiomemdb
from aiomemdb.integrations.langgraph import AiomemdbCache, AiomemdbSaver, AiomemdbStore

AGENTS, TURNS = 64, 5


class State(TypedDict):
    messages: Annotated[list[str], operator.add]


async def model(state: State, runtime: Runtime) -> dict[str, Any]:
    answer = f"I was sent {len(state['messages'])} messages"
    assert runtime.store is not None
    await runtime.store.aput(("answers",), state["messages"][0], {"text": answer})
    return {"messages": [answer]}


async def talk(graph: Any, user: str) -> str:
    config = {"configurable": {"thread_id": user}}
    for turn in range(TURNS):
        result = await graph.ainvoke({"messages": [f"{user}, message {turn}"]}, config)
    return str(result["messages"][-1])


async def main(path: str) -> None:
    builder = StateGraph(State)
    builder.add_node("model", model, cache_policy=CachePolicy(ttl=60))
    builder.add_edge(START, "model")
    builder.add_edge("model", END)
    async with aiomemdb.connect(path) as db:
        store = AiomemdbStore(db)
        graph = builder.compile(checkpointer=AiomemdbSaver(db), store=store, cache=AiomemdbCache(db))
        answers = await asyncio.gather(*[talk(graph, f"user {number}") for number in range(AGENTS)])
        print(f"{AGENTS} agents; the last answers:", *sorted(set(answers)))
        print(await db.read_value("SELECT count(*) FROM checkpoints"), "checkpoints")
        print(len(await store.asearch(("answers",), limit=1000)), "answers in the store")
        print(db.statistics().writes, "writes in", db.statistics().batches, "commits")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        aiomemdb.run(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(folder, "agents.db")))
