"""Small programs in processes of their own: what happens at the end of one can't be seen from inside."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_ROOT = Path(__file__).parents[2]

# What Python, asyncio and aiosqlite print when something was left lying about at the end.
_NOISE = (
    "Exception ignored",
    "Exception in thread",
    "Fatal Python error",
    "Task was destroyed",
    "never retrieved",
    "never awaited",
    "was deleted before being closed",
    "Exception in callback",
)


# A shell starts what runs in its background with SIGINT ignored, which all its children inherit. Python itself then
# leaves it at that; but a program that is sent SIGINT is to meet it as it does in a terminal.
_WITH_SIGINT = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: ``seconds`` from the line "ready" on its standard output, or from its start."""

    returncode: int
    stdout: str
    stderr: str
    seconds: float

    def numbers(self) -> set[int]:
        """The whole numbers that it printed, one a line."""
        return {int(line) for line in self.stdout.splitlines() if line.isdigit()}

    def assert_quiet(self) -> None:
        assert not [noise for noise in _NOISE if noise in self.stderr], self.stderr

    def assert_ok(self) -> None:
        assert self.returncode == 0, self.stdout + self.stderr


def run_script(text: str, *arguments: object, interrupt: bool = False, timeout: float = 60.0) -> Ended:
    """Runs a Python program, with warnings shown; ``interrupt`` sends it SIGINT when it has printed "ready"."""
    with tempfile.TemporaryFile("w+") as errors, start_script(text, *arguments, stderr=errors) as process:
        assert process.stdout is not None
        began, lines = time.monotonic(), []
        alarm = threading.Timer(timeout, process.kill)
        alarm.start()
        for line in process.stdout:
            lines.append(line)
            if line == "ready\n":
                began = time.monotonic()
                if interrupt:
                    process.send_signal(signal.SIGINT)
        process.wait()
        alarm.cancel()
        errors.seek(0)
        return Ended(process.returncode, "".join(lines), errors.read(), time.monotonic() - began)


@contextlib.contextmanager
def start_script(text: str, *arguments: object, stderr: IO[str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """The same, started only; it is killed at the end of the block at the latest."""
    with subprocess.Popen(
        [sys.executable, "-W", "default", "-c", _WITH_SIGINT + textwrap.dedent(text), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def run_script_aside(text: str, *arguments: object) -> Ended:
    """``run_script`` beside a running event loop."""
    return await asyncio.to_thread(run_script, text, *arguments)
