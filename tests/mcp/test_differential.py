"""Random calls to the server and to a model of the reference server's rules: the same answers, byte for byte."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from aiomemdb import Memory
from aiomemdb.mcp.serving import MemoryService, Options
from tests.mcp.clients import FakeClient
from tests.mcp.rules import Rules
from tests.mcp.sequences import Call, calls


async def differences(memory: Memory, sequence: list[Call]) -> list[tuple[Call, Any, Any]]:
    service, rules = MemoryService(memory, Options()), Rules()
    found = []
    for tool, asked in sequence:
        answer = await service.call(tool, asked, FakeClient())
        structured = None if answer.structured is None else dict(answer.structured)
        ours, theirs = (answer.text, structured, answer.failed), rules.call(tool, asked)
        if json.dumps(ours) != json.dumps(theirs):
            found.append(((tool, asked), ours, theirs))
    return found


def run(place: Path | str, sequence: list[Call]) -> None:
    """In a namespace of its own in one file: a new file for each sequence takes most of the time."""

    async def work() -> list[tuple[Call, Any, Any]]:
        async with Memory.open(place, normaliser="exact") as memory:
            try:
                return await differences(memory, sequence)
            finally:
                await memory.forget_namespace()

    assert asyncio.run(work()) == []


_SETTINGS = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@settings(max_examples=60, **_SETTINGS)
@given(sequence=calls)
def test_random_calls_are_answered_as_the_rules_say(place: Path | str, sequence: list[Call]) -> None:
    run(place, sequence)


@pytest.mark.soak
@settings(max_examples=2000, **_SETTINGS)
@given(sequence=calls)
def test_two_thousand_random_sequences_are_answered_as_the_rules_say(place: Path | str, sequence: list[Call]) -> None:
    run(place, sequence)
