"""make demo-postgres: nothing that was acknowledged is lost with the primary, and no process is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support import postgres

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples" / "multi_agent_postgres.py"

pytestmark = pytest.mark.skipif(postgres.binaries() is None, reason="it starts servers of its own")


@contextmanager
def started(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A program in a session of its own. No process that it has started may be there a while after its end."""
    mark = f"AIOMEMDB_TEST_MARK={uuid4()}"
    name, _, value = mark.partition("=")
    program = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, name: value},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with program:
            yield program
    finally:
        program.kill()
    end = time.monotonic() + 30
    while left := processes_with(mark):
        assert time.monotonic() < end, left
        time.sleep(0.05)


def processes_with(mark: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it has ended, or is another user's
            pass
    return found


def test_the_demo_loses_nothing_with_its_primary() -> None:
    with started(str(DEMO), "--quick", str(ROOT / "aiomemdb")) as program:
        out, errors = program.communicate()
    assert program.returncode == 0 and errors == "", out + errors
    assert "the primary is killed" in out and "the standby is promoted" in out
    assert "exactly these: 0 lost, 0 doubled, 0 that no agent wrote" in out
    assert "and 0 calls failed" in out


def test_ctrl_c_ends_the_demo_and_its_servers() -> None:
    with started(str(DEMO), str(ROOT / "aiomemdb")) as program:
        assert program.stdout is not None
        for line in program.stdout:
            if "begin to write" in line:
                break
        os.killpg(program.pid, signal.SIGINT)  # as a terminal does: its children hear it too
        _, errors = program.communicate()
    assert (program.returncode, errors) == (130, "stopped\n")


def test_a_server_and_its_folder_are_gone_when_the_process_that_started_it_was_killed() -> None:
    """As by a test's time limit."""
    code = (
        "import os, signal; from tests.support.postgres import Server\n"
        "with Server.started('fsync=off') as server:\n"
        "    print(server.folder.parent, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    with started("-c", code) as program:
        out, _ = program.communicate()
    end = time.monotonic() + 30
    while Path(out.strip()).exists():
        assert time.monotonic() < end
        time.sleep(0.05)
