"""Has the tests of the OpenAI Agents SDK test our session: in their modules, its own classes' names are bound to it.

Theirs open a file by themselves, and the synchronous one is used by several loops. So these open a database when they
are first used, and run on the loop of a thread of their own.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

R = TypeVar("R")


class _Loop:
    """A loop in a thread, which starts when it is first used and ends with the program."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def submit(self, work: Coroutine[Any, Any, R]) -> Any:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="databases", daemon=True).start()
            atexit.register(self._loop.call_soon_threadsafe, self._loop.stop)
        return asyncio.run_coroutine_threadsafe(work, self._loop)


_loop = _Loop()


def _classes() -> dict[str, type]:
    import aiomemdb
    from aiomemdb.integrations.openai_agents import AiomemdbSession

    class AsyncSQLiteSession(AiomemdbSession):
        def __init__(self, session_id: str, db_path: str | Path = ":memory:", **options: Any) -> None:
            super().__init__(session_id, aiomemdb.connect(db_path), **options)
            self._opening: asyncio.Task[Any] | None = None

        async def _database(self) -> Any:
            self._check_open()
            if self._opening is None:
                self._opening = asyncio.ensure_future(self._open())
            await self._opening
            return await super()._database()

        async def _open(self) -> None:
            await self._db

        async def close(self) -> None:
            await super().close()
            await self._db.close()

    class SQLiteSession:
        """Called from any loop and closed synchronously: each call runs on the one loop."""

        def __init__(self, session_id: str, db_path: str | Path = ":memory:", **options: Any) -> None:
            self._session = AsyncSQLiteSession(session_id, db_path, **options)
            self.session_id = session_id

        @property
        def session_settings(self) -> Any:
            return self._session.session_settings

        async def get_items(self, limit: int | None = None) -> Any:
            return await asyncio.wrap_future(_loop.submit(self._session.get_items(limit)))

        async def add_items(self, items: Any) -> None:
            await asyncio.wrap_future(_loop.submit(self._session.add_items(items)))

        async def pop_item(self) -> Any:
            return await asyncio.wrap_future(_loop.submit(self._session.pop_item()))

        async def clear_session(self) -> None:
            await asyncio.wrap_future(_loop.submit(self._session.clear_session()))

        def close(self) -> None:
            _loop.submit(self._session.close()).result()

    AsyncSQLiteSession.__name__, SQLiteSession.__name__ = "AsyncSQLiteSession", "SQLiteSession"
    return {"AsyncSQLiteSession": AsyncSQLiteSession, "SQLiteSession": SQLiteSession}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "AIOMEMDB_STOCK" in os.environ:
        return
    ours = _classes()
    for module in {item.getparent(pytest.Module) for item in items}:
        assert module is not None
        for name, ours_of_that_name in ours.items():
            if hasattr(module.obj, name):
                setattr(module.obj, name, ours_of_that_name)
