"""64 chats of LlamaIndex run at once; their memories are in one file.

    pip install 'aiomemdb[llama-index]'
    python examples/frameworks/llama_index_chats.py [chats.db]

LlamaIndex' MockLLM stands for your model: it answers with what it was sent.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile

from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import MockLLM
from llama_index.core.memory import Memory

import aiomemdb
from aiomemdb.integrations.llama_index import AiomemdbChatStore

CHATS, TURNS = 64, 5


async def talk(store: AiomemdbChatStore, name: str) -> int:
    for turn in range(TURNS):
        memory = Memory.from_defaults(session_id=name, chat_store=store, tokenizer_fn=str.split)
        engine = SimpleChatEngine.from_defaults(llm=MockLLM(), memory=memory)
        await engine.achat(f"message {turn}")
    return len(await store.get_messages(name))


async def main(path: str) -> None:
    async with aiomemdb.connect(path) as db:
        store = AiomemdbChatStore(db)
        counts = await asyncio.gather(*[talk(store, f"user {number}") for number in range(CHATS)])
        print(sum(counts), "messages in", CHATS, "chats")
        print(db.statistics().writes, "writes in", db.statistics().batches, "commits")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        aiomemdb.run(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(folder, "chats.db")))
