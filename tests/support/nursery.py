"""Where the processes of a fleet come from: one interpreter that has imported everything and opened nothing.

It forks a worker for each order that it reads (50 interpreters started one by one cost seconds, 50 forks a few
hundredths of one). Its standard output is the one pipe by which all of them report; see ``tests.support.fleet``.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import select
import signal
import sys
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiomemdb


@dataclass(frozen=True, slots=True)
class Worker:
    """What a function that runs as a worker gets: its number in the fleet, and a way to report and to wait for all."""

    number: int
    reports: int
    barrier: int

    def meet(self) -> None:
        """Returns when all workers of the fleet have come here, or have ended. Once only; it blocks the loop."""
        self.tell("met", None)
        _wait_at(self.barrier)

    def report(self, **record: Any) -> None:
        """Reports to the test; what has been reported is not lost when this process is killed."""
        self.tell("record", record)

    def tell(self, kind: str, what: Any) -> None:
        line = json.dumps([self.number, kind, what]).encode() + b"\n"
        # Up to this length a write to a pipe is atomic (POSIX): lines of many processes never mix, none is cut.
        assert len(line) <= select.PIPE_BUF
        os.write(self.reports, line)


def run_nursery(begin: int, meet: int, folder: str) -> None:
    """Forks a worker for each line of standard input; ends when that is closed and all of them have ended."""
    faulthandler.enable()  # SIGABRT shows where a worker stands, on its own standard error
    reports = os.dup(1)
    os.dup2(2, 1)
    ended, told_of_end = os.pipe()
    os.set_blocking(told_of_end, False)
    os.set_blocking(ended, False)
    signal.set_wakeup_fd(told_of_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # it wakes up the select() below
    alive: dict[int, Worker] = {}
    waiting, orders = [0, ended], b""
    while alive or 0 in waiting:
        ready, _, _ = select.select(waiting, [], [])
        if ended in ready:
            os.read(ended, 4096)
            while alive and (died := os.waitpid(-1, os.WNOHANG))[0]:
                alive.pop(died[0]).tell("ended", os.waitstatus_to_exitcode(died[1]))
        if 0 in ready:
            if not (got := os.read(0, 65536)):
                waiting.remove(0)
            *lines, orders = (orders + got).split(b"\n")
            for order in map(json.loads, lines):
                importlib.import_module(order["module"])
                worker = Worker(order["number"], reports, meet)
                if (pid := os.fork()) == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    os.close(ended)
                    os.close(told_of_end)
                    _work(worker, order, begin, Path(folder))
                alive[pid] = worker


def _work(worker: Worker, order: dict[str, Any], begin: int, folder: Path) -> None:
    """In the forked process, which never returns from here."""
    try:
        signal.alarm(order["limit"])  # it ends even if the test is gone
        with open(os.devnull) as nothing, open(folder / f"{worker.number}.stderr", "w") as errors:
            os.dup2(nothing.fileno(), 0)
            os.dup2(errors.fileno(), 1)
            os.dup2(errors.fileno(), 2)
        work = getattr(sys.modules[order["module"]], order["name"])
        worker.tell("ready", os.getpid())
        _wait_at(begin)
        aiomemdb.run(work(worker, **order["arguments"]))
        left = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
        assert not left, f"threads left: {left}"
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    sys.stderr.flush()
    os._exit(0)


def _wait_at(barrier: int) -> None:
    os.read(barrier, 1)  # the end of the file, for all at once, when the test has closed the other side
