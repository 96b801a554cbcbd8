"""Random steps on an adapter and on the framework's own class: alone, by turns in two processes, and cancelled.

A case says what a step is, how it is done on either, and what the whole state looks like afterwards.
"""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import os
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

import aiomemdb
from aiomemdb import SQLiteDatabase
from tests.conftest import pytest_asyncio_loop_factories
from tests.support.plain import assert_healthy

__all__ = ["WAYS", "Case", "Step", "agree", "agree_by_turns", "agree_when_cancelled"]

T = TypeVar("T")

#: What a step does, and with what: plain values, which another process can be told.
Step: TypeAlias = tuple[str, tuple[Any, ...]]

_EXAMPLES = settings(max_examples=int(os.environ.get("AIOMEMDB_EXAMPLES") or 25), deadline=None)


class Case(Protocol):
    """One class of a framework. It is made without arguments."""

    steps: st.SearchStrategy[Step]

    def theirs(self) -> Any:
        """Return the framework's own class, empty."""

    def ours(self, db: SQLiteDatabase) -> Any:
        """Return the adapter."""

    async def do(self, subject: Any, number: int, step: Step) -> Any:
        """Do a step on either, as the ``number``-th one; return what can be compared, an expected error too."""

    async def look(self, subject: Any) -> Any:
        """Return the whole state of either, so that it can be compared."""

    async def end(self, subject: Any) -> None:
        """Let go of what ``theirs()`` has made."""


def agree(case: Case) -> None:
    """Each step returns what the framework's own class returns, and leaves the same state."""

    async def compare(steps: list[Step]) -> None:
        with _file() as path:
            async with aiomemdb.connect(path, readers=2) as db:
                ours, theirs = case.ours(db), case.theirs()
                for number, step in enumerate(steps):
                    expected = await case.do(theirs, number, step)
                    assert await case.do(ours, number, step) == expected
                    assert await case.look(ours) == await case.look(theirs)
                await case.end(theirs)

    _for_examples(st.lists(case.steps, max_size=14), compare)


def agree_by_turns(case: Case) -> None:
    """So do two processes, which take turns at one file."""

    with _Other(type(case)) as other:

        async def compare(given: list[tuple[bool, Step]]) -> None:
            with _file() as path:
                async with aiomemdb.connect(path, readers=2) as db:
                    ours, theirs = case.ours(db), case.theirs()
                    await other.ask("open", str(path))
                    for number, (elsewhere, step) in enumerate(given):
                        expected = await case.do(theirs, number, step)
                        if elsewhere:
                            assert await other.ask("do", number, step) == expected
                            assert await case.look(ours) == await case.look(theirs)
                        else:
                            assert await case.do(ours, number, step) == expected
                            assert await other.ask("look") == await case.look(theirs)
                    await other.ask("close")
                    await case.end(theirs)

        _for_examples(st.lists(st.tuples(st.booleans(), case.steps), max_size=14), compare)


def agree_when_cancelled(case: Case) -> None:
    """A step that is cancelled somewhere has happened whole, or not at all; and nothing of it is left open."""

    async def replayed(done: list[tuple[int, Step]]) -> tuple[Any, Any]:
        theirs = case.theirs()
        for number, step in done:
            await case.do(theirs, number, step)
        return theirs, await case.look(theirs)

    async def compare(given: list[tuple[int | None, Step]]) -> None:
        with _file() as path:
            async with aiomemdb.connect(path, readers=2) as db:
                ours = case.ours(db)
                done: list[tuple[int, Step]] = []
                for number, (iterations, step) in enumerate(given):
                    task = asyncio.create_task(case.do(ours, number, step))
                    for _ in range(iterations or 0):
                        await asyncio.sleep(0)
                    if iterations is not None:
                        task.cancel()
                    await asyncio.wait([task])
                    await db.flush()
                    before, state_before = await replayed(done)
                    after, state_after = await replayed([*done, (number, step)])
                    state = await case.look(ours)
                    if task.cancelled():
                        assert state in (state_before, state_after)
                    else:
                        task.result()
                        assert state == state_after
                    if state == state_after:
                        done.append((number, step))
                    await case.end(before)
                    await case.end(after)
            assert_healthy(path)

    _for_examples(st.lists(st.tuples(st.none() | st.integers(0, 12), case.steps), max_size=8), compare)


WAYS = [agree, agree_by_turns, agree_when_cancelled]


def _for_examples(strategy: st.SearchStrategy[T], compare: Any) -> None:
    [factory] = pytest_asyncio_loop_factories().values()
    with asyncio.Runner(loop_factory=factory) as runner:

        @_EXAMPLES
        @given(strategy)
        def run(example: T) -> None:
            runner.run(_limited(compare(example)))

        run()


async def _limited(work: Coroutine[Any, Any, T]) -> T:
    async with asyncio.timeout(60):
        return await work


@contextmanager
def _file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="aiomemdb-differential-") as folder:
        yield Path(folder) / "agents.db"


class _Other:
    """Another process, which does the steps of a case on the same file."""

    def __init__(self, case: type[Case]) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(case.__module__, case.__name__, there))

    def __enter__(self) -> _Other:
        self._process.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._here.send(None)
        self._process.join(30)
        assert self._process.exitcode == 0
        self._process.close()
        self._here.close()

    async def ask(self, *what: Any) -> Any:
        self._here.send(what)
        answer = await asyncio.to_thread(self._here.recv)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def _serve(module: str, name: str, asked: Connection) -> None:
    case: Case = getattr(importlib.import_module(module), name)()

    async def serve() -> None:
        db: SQLiteDatabase
        while (what := await asyncio.to_thread(asked.recv)) is not None:
            try:
                match what:
                    case "open", path:
                        db = await aiomemdb.connect(path, readers=2)
                        ours, answer = case.ours(db), None
                    case "do", number, step:
                        answer = await case.do(ours, number, step)
                    case "look", *_:
                        answer = await case.look(ours)
                    case "close", *_:
                        answer = await db.close()
                asked.send(answer)
            except Exception as error:
                asked.send(error)

    aiomemdb.run(serve())
