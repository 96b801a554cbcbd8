"""The fleet, attacked: whatever a worker does, the test ends, hears of it and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.support.fleet import Fleet
from tests.support.nursery import Worker


async def greet(worker: Worker, *, words: str) -> None:
    worker.report(words=words, pid=os.getpid(), at=time.monotonic_ns())


async def fail(worker: Worker) -> None:
    raise LookupError("of this worker")


async def meet(worker: Worker) -> None:
    worker.report(came=time.monotonic_ns())
    worker.meet()
    worker.report(went=time.monotonic_ns())


async def complain(worker: Worker) -> None:
    print("something is odd", file=sys.stderr)


async def die(worker: Worker) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def hang(worker: Worker) -> None:
    worker.report(hangs=True)
    await asyncio.Event().wait()


async def stop(worker: Worker) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


async def chatter(worker: Worker, *, lines: int, length: int) -> None:
    for line in range(lines):
        worker.report(line=line, text="x" * length)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_each_worker_is_a_process_of_its_own_and_is_heard() -> None:
    with Fleet(limit=60) as fleet:
        for n in range(5):
            fleet.start(greet, words=f"hello {n}")
        records = fleet.finish()
    assert [record["words"] for [record] in records] == [f"hello {n}" for n in range(5)]
    pids = {record["pid"] for [record] in records}
    assert len(pids) == 5 and os.getpid() not in pids


def test_no_worker_begins_before_all_are_ready() -> None:
    with Fleet(limit=60) as fleet:
        for _ in range(20):
            fleet.start(greet, words="")
        for _ in fleet.messages():
            assert len(fleet._ready) == 20


def test_workers_that_meet_wait_for_each_other_but_not_for_one_that_has_ended() -> None:
    with Fleet(limit=60) as fleet:
        for _ in range(4):
            fleet.start(meet)
        fleet.start(greet, words="")
        records = fleet.finish()[:4]
    assert max(came["came"] for came, _ in records) < min(went["went"] for _, went in records)


def test_a_worker_that_is_started_later_begins_at_once() -> None:
    with Fleet(limit=60) as fleet:
        fleet.start(hang)
        for number, _ in fleet.messages():
            if number == 0:
                fleet.start(greet, words="late")
            else:
                fleet.kill(0)
    assert [record["words"] for record in fleet.records[1]] == ["late"]


def test_lines_of_many_workers_do_not_mix() -> None:
    with Fleet(limit=20) as fleet:
        for n in range(8):
            fleet.start(chatter, lines=200, length=300 * n)
        records = fleet.finish()
    for n, lines in enumerate(records):
        assert lines == [{"line": line, "text": "x" * 300 * n} for line in range(200)]


@pytest.mark.parametrize(
    ("work", "code", "what"), [(fail, 1, "of this worker"), (complain, 0, "something is odd"), (die, -9, "")]
)
def test_a_worker_that_fails_fails_the_test_with_what_it_wrote(
    work: Callable[..., Coroutine[Any, Any, None]], code: int, what: str
) -> None:
    with Fleet(limit=60) as fleet, pytest.raises(AssertionError, match=f"(?s)worker 1 ended with code {code}:.*{what}"):
        fleet.start(greet, words="")
        fleet.start(work)
        fleet.finish()


def test_workers_that_hang_are_ended_and_where_they_stood_is_told() -> None:
    with (
        Fleet(limit=60) as fleet,
        pytest.raises(
            AssertionError, match=r"(?s)within 60 s: 2 workers.*worker 0:.*runner\.py.*worker 1:.*runner\.py"
        ),
    ):
        fleet.start(hang)
        fleet.start(hang)
        for _ in fleet.messages():
            if all(fleet.records):
                fleet._deadline = time.monotonic()  # its time is up


def test_a_worker_that_never_stops_reporting_is_ended_too() -> None:
    with Fleet(limit=60) as fleet, pytest.raises(AssertionError, match="within 60 s: 1 workers"):
        fleet.start(chatter, lines=10**9, length=10)
        for _, record in fleet.messages():
            if record["line"] == 1000:
                fleet._deadline = time.monotonic()


def test_what_is_left_at_the_end_of_the_block_is_killed_even_if_it_is_stopped() -> None:
    pids = []
    with Fleet(limit=60) as fleet:
        for _ in range(3):
            fleet.start(hang)
        fleet.start(stop)
        for _ in fleet.messages():
            if sum(map(bool, fleet.records)) == 3:
                break
        pids = list(fleet._pids.values())
    assert len(pids) == 4 and all(map(is_gone, pids))


def test_a_fleet_that_is_left_at_once_leaves_no_process() -> None:
    with Fleet(limit=60) as fleet:
        for _ in range(10):
            fleet.start(hang)
    assert fleet._nursery.returncode == 0
    assert len(fleet._ended) == 10


def test_a_worker_that_is_killed_before_it_has_begun_ends() -> None:
    with Fleet(limit=60) as fleet:
        number = fleet.start(hang)
        fleet.kill(number)
        fleet.finish()
    assert fleet.records == [[]]


def test_what_a_killed_worker_had_reported_is_heard() -> None:
    with Fleet(limit=60) as fleet:
        fleet.start(chatter, lines=1_000_000, length=10)
        for _, record in fleet.messages():
            if record["line"] == 100:
                fleet.kill(0)
    lines = [record["line"] for record in fleet.records[0]]
    assert len(lines) > 100 and lines == list(range(len(lines)))


def test_a_nursery_that_dies_is_told() -> None:
    with Fleet(limit=60) as fleet, pytest.raises(AssertionError, match=r"(?s)processes are gone.*ModuleNotFoundError"):
        hang.__module__, module = "no_such_module", hang.__module__
        try:
            fleet.start(hang)
        finally:
            hang.__module__ = module
        fleet.finish()
