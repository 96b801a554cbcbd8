"""LangGraph's own conformance suite for checkpointers: each capability is a test here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import cache

import pytest
from langgraph.checkpoint.conformance import validate
from langgraph.checkpoint.conformance.initializer import checkpointer_test
from langgraph.checkpoint.conformance.report import CapabilityReport
from langgraph.checkpoint.sqlite import aio

CAPABILITIES = ["copy_thread", "delete_for_runs", "delete_thread", "get_tuple", "list", "prune", "put", "put_writes"]


@cache
def report() -> CapabilityReport:
    @checkpointer_test(name="the checkpointer")
    async def checkpointer() -> AsyncIterator[object]:
        async with aio.AsyncSqliteSaver.from_conn_string(":memory:") as saver:  # ours, by the plugin
            yield saver

    return asyncio.run(validate(checkpointer))


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_capability(capability: str) -> None:
    result = report().results[capability]
    assert result.passed, "\n".join(result.failures or ["it was not detected"])


def test_all_capabilities_are_there() -> None:
    assert sorted(report().results) == CAPABILITIES
    assert report().conformance_level() == "FULL"
