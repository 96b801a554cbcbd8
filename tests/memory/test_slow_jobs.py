"""A slow job is logged as the call that its caller made; one is not logged if the library chose its length."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from aiomemdb import Memory
from aiomemdb.sqlite.writing import operations, slow

pytestmark = pytest.mark.sqlite_only


@pytest.fixture
def everything_is_slow(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(operations, "SLOW_FUNCTION", -1.0)
    monkeypatch.setattr(slow, "LOG_EVERY", 0.0)
    caplog.set_level(logging.WARNING, "aiomemdb")
    return caplog


async def merge(memory: Memory) -> None:
    a, b = await asyncio.gather(memory.find_or_create_entity("a"), memory.find_or_create_entity("b"))
    await memory.merge(a, b)


CALLS: dict[str, Callable[[Memory], Coroutine[Any, Any, Any]]] = {
    "remember() of 743 facts": lambda memory: memory.remember("words", [("a", "likes", f"b{n}") for n in range(743)]),
    "add_fact()": lambda memory: memory.add_fact("a", "likes", "b"),
    "find_or_create_entity()": lambda memory: memory.find_or_create_entity("a"),
    "merge()": merge,
}


@pytest.mark.parametrize("call", CALLS)
async def test_a_slow_call_is_logged_by_its_own_name(
    memory: Memory, everything_is_slow: pytest.LogCaptureFixture, call: str
) -> None:
    await CALLS[call](memory)
    assert [message.partition(" kept the writer for ")[0] for message in everything_is_slow.messages] == [call]


async def test_calls_that_the_library_writes_together_are_not_logged(
    memory: Memory, everything_is_slow: pytest.LogCaptureFixture
) -> None:
    await asyncio.gather(*(memory.remember(f"words {n}", [("a", "likes", "b")]) for n in range(9)))
    assert everything_is_slow.messages == []


async def test_deleting_in_slices_is_not_logged(memory: Memory, everything_is_slow: pytest.LogCaptureFixture) -> None:
    await memory.remember("words", [("a", "likes", "b")])
    everything_is_slow.clear()
    await memory.forget_namespace()
    assert [message.partition(" kept ")[0] for message in everything_is_slow.messages] == ["forget_namespace()"]


async def test_opening_is_not_logged(everything_is_slow: pytest.LogCaptureFixture) -> None:
    async with Memory.open(":memory:"):
        assert everything_is_slow.messages == []
