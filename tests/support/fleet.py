"""Many processes that begin at the same instant, and what each of them reports."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

_ROOT = Path(__file__).parents[2]
_NURSERY = """
import sys
from tests.support.nursery import run_nursery
run_nursery(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
"""
_GRACE = 5.0  # for a process that was killed to be gone
_MOST_SHOWN = 3  # of the workers that hang: they mostly hang for one reason
# The log lines that only say how long something took. Beside 50 processes on a busy machine, anything may.
_TOOK_LONG = (": close() waits for ", ": has waited ", " kept the writer for ")


class Fleet:
    """Worker processes, forked by one interpreter, that stand at a barrier until the test lets them go::

        with Fleet(limit=20) as fleet:
            for _ in range(50):
                fleet.start(append, path=str(path), writes=40)
            records = fleet.finish()

    ``append`` is a coroutine function at the top of a module; it gets a ``Worker`` and the keywords, which must be
    JSON. A worker that fails, writes to its standard error or has not ended ``limit`` seconds after the start of the
    fleet fails the test, with what it wrote (and where it stood). Leaving the block kills what is left.
    """

    def __init__(self, *, limit: float) -> None:
        self.records: list[list[dict[str, Any]]] = []  #: what each worker has reported, by its number
        self._limit = limit
        self._pids: dict[int, int] = {}  # of those that live, once they have said so
        self._ready: set[int] = set()
        self._met: set[int] = set()
        self._ended: set[int] = set()
        self._killed: set[int] = set()
        self._lines: deque[bytes] = deque()  # not handled yet
        self._cut = b""  # the beginning of one more

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="aiomemdb-fleet-")
        self._deadline = time.monotonic() + self._limit
        (begin, self._begin), (meet, self._meet) = _barrier(), _barrier()
        with open(self._errors_of("nursery"), "w") as errors:
            self._nursery = subprocess.Popen(
                [sys.executable, "-W", "default", "-c", _NURSERY, str(begin), str(meet), self._folder.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                pass_fds=[begin, meet],
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])},
            )
        os.close(begin)
        os.close(meet)
        assert self._nursery.stdin is not None and self._nursery.stdout is not None
        self._orders, self._reports = self._nursery.stdin, self._nursery.stdout
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._begin.close()
        self._meet.close()
        self._orders.close()
        try:
            for number in range(len(self.records)):
                self.kill(number)
            self._deadline = time.monotonic() + _GRACE
            while self._receive() is not None:
                pass
        finally:
            self._nursery.kill()
            self._nursery.wait()
            self._reports.close()
            self._folder.cleanup()

    def start(self, work: Callable[..., Coroutine[Any, Any, None]], **arguments: Any) -> int:
        """Orders one more worker and returns its number; it begins with the others, or at once if they have begun."""
        number = len(self.records)
        self.records.append([])
        order = {
            "number": number,
            "module": work.__module__,
            "name": work.__name__,
            "arguments": arguments,
            "limit": ceil(self._limit + 2 * _GRACE),
        }
        self._orders.write(json.dumps(order).encode() + b"\n")
        return number

    def messages(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Lets all go when all are ready; then (number, record) as they come, until all have ended."""
        while len(self._ended) < len(self.records):
            if len(self._ready | self._ended) == len(self.records):
                self._begin.close()
            if len(self._met | self._ended) == len(self.records):
                self._meet.close()
            try:
                message = self._receive()
            except TimeoutError:
                raise AssertionError(self._late()) from None
            if message is None:
                raise AssertionError(f"the processes are gone: {self._errors_of('nursery').read_text()}")
            number, kind, what = message
            if kind == "record":
                self.records[number].append(what)
                yield number, what
            elif kind == "ended":
                self._check_end(number, what)

    def finish(self) -> list[list[dict[str, Any]]]:
        """As ``messages()``, to the end; returns all that was reported, by number."""
        for _ in self.messages():
            pass
        return self.records

    @property
    def alive(self) -> list[int]:
        """The numbers of the workers that have begun, and have neither ended nor been killed."""
        return [number for number in self._pids if number not in self._killed]

    def kill(self, number: int) -> None:
        """``kill -9``, as soon as it has begun, if it still lives. What it has reported is not lost."""
        self._killed.add(number)
        self._signal(number, signal.SIGKILL)

    def _receive(self) -> tuple[int, str, Any] | None:
        """The next message; None when there will be no more. Raises ``TimeoutError`` when time is up."""
        while not self._lines:
            left = self._deadline - time.monotonic()
            if left <= 0 or not select.select([self._reports], [], [], left)[0]:
                raise TimeoutError(f"workers that have not ended: {sorted(self._pids)}")
            if not (got := os.read(self._reports.fileno(), 1 << 16)):
                return None
            *lines, self._cut = (self._cut + got).split(b"\n")
            self._lines.extend(lines)
        number, kind, what = json.loads(self._lines.popleft())
        if kind == "ready":
            self._pids[number] = what
            self._ready.add(number)
            if number in self._killed:  # before we had heard of it
                self.kill(number)
        elif kind == "met":
            self._met.add(number)
        elif kind == "ended":
            self._pids.pop(number, None)
            self._ended.add(number)
        return number, kind, what

    def _check_end(self, number: int, code: int) -> None:
        lines = self._errors_of(number).read_text().splitlines(keepends=True)
        errors = "".join(line for line in lines if not any(what in line for what in _TOOK_LONG))
        if errors or (code != 0 and number not in self._killed):
            raise AssertionError(f"worker {number} ended with code {code}:\n{errors}")

    def _late(self) -> str:
        """Who has not ended in time, and where each stands: on SIGABRT it prints that (``faulthandler``)."""
        late, self._deadline = sorted(self._pids), time.monotonic() + _GRACE
        for number in late:
            self._signal(number, signal.SIGABRT)
        with suppress(TimeoutError):
            while self._pids and self._receive() is not None:
                pass
        where = [f"worker {number}:\n{self._errors_of(number).read_text()}" for number in late]
        return "\n".join([f"not ended within {self._limit:g} s: {len(late)} workers", *where[:_MOST_SHOWN]])

    def _signal(self, number: int, signal_number: int) -> None:
        with suppress(KeyError, ProcessLookupError):  # it has ended, whether we have read so or not
            os.kill(self._pids[number], signal_number)

    def _errors_of(self, who: int | str) -> Path:
        return Path(self._folder.name, f"{who}.stderr")


def _barrier() -> tuple[int, IO[bytes]]:
    """A reader of the first waits until the second is closed."""
    waits, opens = os.pipe()
    return waits, open(opens, "wb")
