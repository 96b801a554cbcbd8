"""A program of ``tests.faults.writing`` as a process of its own, under strace where wanted."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its exit code (negative: the signal), what it reported, what it wrote to standard error."""

    code: int
    records: list[dict[str, Any]]
    errors: str


def run_program(
    work: Callable[..., Coroutine[Any, Any, None]],
    *,
    number: int = 0,
    under: Sequence[str] = (),
    limit: float = 40,
    **arguments: Any,
) -> Ended:
    """Runs ``work(worker, **arguments)`` to its end; ``number`` is the worker's.

    Raises:
        TimeoutExpired: it hangs; it is killed then.
    """
    order = json.dumps({"name": work.__name__, "number": number, **arguments})
    process = subprocess.Popen(
        [*under, sys.executable, "-m", "tests.faults.writing", order],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=_ROOT,
        process_group=0,
    )
    try:
        output, errors = process.communicate(timeout=limit)
    finally:
        if process.returncode is None:
            os.killpg(process.pid, 9)
            process.communicate()
    code = process.returncode if process.returncode <= 128 else 128 - process.returncode  # as strace reports signals
    records = [what for _, kind, what in map(json.loads, output.splitlines()) if kind == "record"]
    return Ended(code, records, errors.decode())


@cache
def _strace_works() -> bool:
    strace = shutil.which("strace")
    return strace is not None and subprocess.run([strace, "-o", os.devnull, "true"]).returncode == 0


def strace(trace: Path, calls: Iterable[str], *more: str, signals: bool = False) -> list[str]:
    """The command that a program is run under; skips the test where there is no strace."""
    if not _strace_works():
        pytest.skip("strace is not installed, or not permitted here")
    # seccomp: other calls (an interpreter makes thousands) are not stopped at. But strace 6.1 injects no
    # signals then.
    quick = [] if signals else ["--seccomp-bpf"]
    return ["strace", "-f", *quick, "-qq", "-o", str(trace), "-e", f"trace={','.join(calls)}", *more]


@dataclass(frozen=True, slots=True)
class Call:
    """One system call as it entered or, where it had not returned yet when another thread's began, as it went on.

    Attributes:
        text: name, arguments and result, with ``result`` None while it has none.
    """

    name: str
    text: str
    result: int | None

    def bytes(self, index: int) -> bytes:
        """The index-th quoted string, as written by ``-xx``."""
        return bytes.fromhex(re.findall(r'"((?:\\x[0-9a-f]{2})*)"', self.text)[index].replace("\\x", ""))

    def numbers(self) -> list[int]:
        """The plain numbers among its arguments."""
        return [int(number) for number in re.findall(r"(?<=, )-?\d+(?=[,)])", self.text)]

    def file(self) -> str:
        """The path of its descriptor, as written by ``-y -xx``."""
        found = re.search(r"\(\d+<((?:\\x[0-9a-f]{2})*)", self.text)
        return os.fsdecode(bytes.fromhex(found[1].replace("\\x", ""))) if found else ""


def calls(trace: Path) -> Iterator[Call]:
    """Those of a trace, in order; one that another thread's came between is told twice: begun, and done."""
    begun: dict[str, str] = {}
    for line in trace.read_text().splitlines():
        thread, text = line.split(maxsplit=1)
        if text.endswith("<unfinished ...>"):
            begun[thread] = text.removesuffix("<unfinished ...>").rstrip()
            yield Call(text.partition("(")[0], begun[thread] + ")", None)
            continue
        if resumed := re.match(r"<\.\.\. \w+ resumed>", text):
            text = begun.pop(thread) + text[resumed.end() :]
        if found := re.match(r"(\w+)\(.*\)\s+= (-?\d+)", text):
            yield Call(found[1], text, int(found[2]))
