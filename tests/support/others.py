"""Another process beside the test, which does one thing after another as it is told; and what it would do to a file."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest import mock

from aiomemdb.sqlite.file import turnstile
from aiomemdb.sqlite.file.holders import note_wait
from aiomemdb.sqlite.file.turnstile import Turnstile
from aiomemdb.sqlite.writing import session

_ROOT = Path(__file__).parents[2]

_PROGRAM = """
import ast, asyncio, inspect, json, os, signal, sqlite3, sys
import aiomemdb
from aiomemdb.sqlite.file.turnstile import Turnstile

signal.alarm(600)  # it ends even if the test is gone; that is no limit of what it does
scope = {**globals(), "path": sys.argv[1]}

async def do(text):
    try:
        tree, mode = ast.parse(text, mode="eval"), "eval"
    except SyntaxError:
        tree, mode = ast.parse(text), "exec"
    result = eval(compile(tree, "<told>", mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), scope)
    return await result if inspect.isawaitable(result) else result

async def main():
    while line := await asyncio.to_thread(sys.stdin.readline):
        try:
            answer = {"value": await do(json.loads(line))}
        except BaseException as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer, default=repr), flush=True)

asyncio.run(main())
"""


class OtherProcess:
    """Runs Python texts, which may await, one at a time in one scope::

        with OtherProcess(db_path) as other:
            await other.does("db = await aiomemdb.connect(path)")
            assert await other.does("await db.write('INSERT INTO t VALUES (1)')") == 1

    Its event loop goes on between them. The scope has ``path``, ``aiomemdb``, ``Turnstile`` and ``sqlite3``, among
    others. It is killed at the end of the block, whatever it does then.
    """

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])},
        )
        self.pid: int = self._process.pid

    def do(self, text: str) -> Any:
        """Returns the value of an expression, None of anything else, when it is done.

        Raises:
            RuntimeError: what it raised there, as text.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(text) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the other process ended while it did: {text}"
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    async def does(self, text: str) -> Any:
        """``do`` beside a running event loop."""
        return await asyncio.to_thread(self.do, text)

    def stop(self) -> None:
        """Returns when it stands still, whatever it was doing."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """By kill -9; returns when it is gone."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdout.close()
        with suppress(BrokenPipeError):  # of a line that it did not live to read
            self._process.stdin.close()


@contextmanager
def file_waits() -> Iterator[list[float]]:
    """How long those of this process have waited for a file that another keeps, at each of their looks::

    with file_waits() as waited:
        write = db.submit(...)
        await eventually(lambda: bool(waited))  # now it waits
    """
    waited: list[float] = []

    def noted(path: object, seconds: float, *more: Any) -> None:
        waited.append(seconds)
        note_wait(path, seconds, *more)

    with mock.patch.object(turnstile, "note_wait", noted), mock.patch.object(session, "note_wait", noted):
        yield waited


@contextmanager
def turn_taken(path: Path, timeout: float = 0) -> Iterator[Turnstile]:
    """As another process would keep it."""
    with closing(Turnstile(path)) as taken:
        taken.open()
        taken.acquire(timeout)
        yield taken
