"""Four processes, each with agents that are cancelled at random, write one conversation; one of them is killed.

What was acknowledged is there once. What was not is there whole, or not at all.
"""

from __future__ import annotations

import asyncio
import importlib
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import aiomemdb
from aiomemdb import SQLiteDatabase
from tests.support.fleet import Fleet
from tests.support.nursery import Worker
from tests.support.plain import assert_healthy

__all__ = ["Conversation", "loses_nothing_to_a_kill"]

_PROCESSES, _AGENTS, _STEPS = 4, 6, 12


class Conversation(Protocol):
    """One conversation, as an adapter keeps it. It is made of a database."""

    async def start(self) -> None:
        """Make what must be there before anything is said."""

    async def say(self, first: str, second: str) -> None:
        """Add two texts, in one call of the adapter."""

    async def said(self) -> list[str]:
        """Return all texts, in order."""


async def talk(worker: Worker, path: str, module: str, name: str) -> None:
    make: Callable[[SQLiteDatabase], Conversation] = getattr(importlib.import_module(module), name)
    async with aiomemdb.connect(path) as db:
        conversation = make(db)

        async def agent(number: int) -> None:
            dice = random.Random(f"{worker.number} {number}")
            for step in range(_STEPS):
                text = f"{worker.number} {number} {step}"
                task = asyncio.ensure_future(conversation.say(f"{text} a", f"{text} b"))
                if dice.random() < 0.25:
                    for _ in range(dice.randrange(9)):
                        await asyncio.sleep(0)
                    task.cancel()
                await asyncio.wait([task])
                if not task.cancelled():
                    task.result()
                    worker.report(told=text)

        worker.meet()
        await asyncio.gather(*[agent(number) for number in range(_AGENTS)])


async def loses_nothing_to_a_kill(path: Path, conversation: type[Any]) -> None:
    async with aiomemdb.connect(path) as db:
        await conversation(db).start()
    told: list[str] = []
    with Fleet(limit=120) as fleet:
        for _ in range(_PROCESSES):
            fleet.start(talk, path=str(path), module=conversation.__module__, name=conversation.__name__)
        for number, record in fleet.messages():
            told.append(record["told"])
            if number == 0:
                fleet.kill(0)
    assert_healthy(path)
    async with aiomemdb.connect(path) as db:
        said = await conversation(db).said()
    assert [text[:-2] for text in said[::2]] == [text[:-2] for text in said[1::2]]
    assert [text[-1] for text in said] == ["a", "b"] * (len(said) // 2)
    times = Counter(text[:-2] for text in said[::2])
    assert not [text for text in told if times[text] != 1]
    assert not [text for text, count in times.items() if count > 1]
    assert len(told) > _PROCESSES * _AGENTS
