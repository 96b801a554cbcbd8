"""Programs in processes that one interpreter forks, which has imported the package and opened nothing.

Python's start and the imports are most of what a short program costs. A test that is about those starts its own:
``tests.support.scripts``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.scripts import Ended

_ROOT = Path(__file__).parents[2]
_LIMIT = 100  # s, to end a hang

# The forked process goes on behind the loop, and ends as any program does.
_PROGRAM = """
import contextlib, gc, importlib, json, os, signal, sys

# The package, and what its dependencies import when they are used.
for name in ("aiomemdb.blocking.memory", "anyio._backends._asyncio", "uvloop", "aiomemdb.cli.app", "typer._adapters"):
    with contextlib.suppress(ImportError):  # of what is not installed
        importlib.import_module(name)
gc.collect()
gc.freeze()  # pages that a collection does not write to are not copied for each process
signal.signal(signal.SIGINT, signal.default_int_handler)
for line in iter(sys.stdin.buffer.readline, b""):
    order = json.loads(line)
    if (pid := os.fork()) == 0:
        break
    _, status = os.waitpid(pid, 0)
    os.write(1, b"%d\\n" % os.waitstatus_to_exitcode(status))
else:
    sys.exit()

signal.alarm(order["limit"])
output = order["output"]
if output is None:
    reader, output = os.pipe()
    os.close(reader)
else:
    output = os.open(output, os.O_WRONLY)
given, errors = os.open(order["input"], os.O_RDONLY), os.open(order["errors"], os.O_WRONLY)
for place, descriptor in enumerate((given, output, errors)):
    os.dup2(descriptor, place)
    os.close(descriptor)
sys.stdin = open(0, closefd=False)
sys.argv = ["-c", *order["arguments"]]
text = order["text"]
for name in set(globals()) - {"text", "__name__", "__builtins__", "__doc__", "__loader__", "__spec__", "__package__"}:
    del globals()[name]
exec(text)
"""


class Warm:
    """Runs one program at a time::

    with Warm() as warm:
        warm.run("print(1 + 1)").stdout  # "2\\n"
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="aiomemdb-warm-")
        self._process = subprocess.Popen(
            [sys.executable, "-W", "default", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])},
        )

    def run(self, text: str, *arguments: object, input: str = "", closed_pipe: bool = False) -> Ended:
        """Runs a Python program, with warnings shown, to its end.

        Args:
            closed_pipe: its standard output is a pipe that has no reader any more.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        files = {name: Path(self._folder.name, name) for name in ("input", "output", "errors")}
        for file in files.values():
            file.write_text(input if file.name == "input" else "")
        order = {name: str(file) for name, file in files.items()} | ({"output": None} if closed_pipe else {})
        order |= {"text": textwrap.dedent(text), "arguments": [*map(str, arguments)], "limit": _LIMIT}
        began = time.monotonic()
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        answer = self._process.stdout.readline()
        assert answer, "the process that forks has ended"
        seconds = time.monotonic() - began
        return Ended(int(answer), files["output"].read_text(), files["errors"].read_text(), seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()
