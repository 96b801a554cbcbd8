"""Has aiosqlite's tests test ``aiomemdb.aiosqlite``: their module's name ``aiosqlite`` is bound to it."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "AIOMEMDB_STOCK" in os.environ:
        return
    import aiomemdb.aiosqlite

    for module in {item.getparent(pytest.Module) for item in items}:
        assert module is not None
        module.obj.aiosqlite = aiomemdb.aiosqlite
