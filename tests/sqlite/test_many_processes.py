"""G13: many processes share one file; the history of all their calls keeps every promise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.fairness import jain, span_of, worst_wait
from tests.support.fleet import Fleet
from tests.support.history import Write
from tests.support.plain import assert_healthy, plain
from tests.support.workers import WAYS, append, assert_promises_kept, count_up, look, take_long_turns

PROCESSES = 50
LIMIT = 150.0  # s: to end a hang, not to judge a busy machine


def run_fleet(start: Callable[[Fleet], None], *, limit: float = LIMIT) -> list[list[dict[str, Any]]]:
    with Fleet(limit=limit) as fleet:
        start(fleet)
        return fleet.finish()


def all_acknowledged(path: Path, start: Callable[[Fleet], None], *, limit: float = LIMIT) -> list[Write]:
    writes = assert_promises_kept(path, run_fleet(start, limit=limit))
    assert all(write.applied for write in writes)
    return writes


def race(path: Path, *, callers: int, writes: int, readers: int, limit: float) -> list[Write]:
    """50 processes that open a brand-new file at the same instant, each with some callers; and processes that read."""

    def start(fleet: Fleet) -> None:
        for _ in range(PROCESSES):
            fleet.start(append, path=str(path), callers=callers, writes=writes)
        for _ in range(readers):
            fleet.start(look, path=str(path), reads=100)

    done = all_acknowledged(path, start, limit=limit)
    assert len(done) == PROCESSES * callers * writes
    return done


def report(writes: Sequence[Write]) -> str:
    return (
        f"{len(writes)} writes in {span_of(writes):.2f} s, {len(writes) / span_of(writes):,.0f}/s, "
        f"Jain {jain(writes):.3f}, worst wait {worst_wait(writes):.3f} s"
    )


def test_fifty_processes_on_a_new_file_lose_nothing_and_fail_nowhere(db_path: Path) -> None:
    print(report(race(db_path, callers=2, writes=20, readers=4, limit=LIMIT)))


@pytest.mark.soak
@pytest.mark.parametrize(("callers", "writes"), [(1, 400), (20, 100)])
@pytest.mark.parametrize("round", range(15))
def test_fifty_processes_on_a_new_file_get_equal_shares(db_path: Path, callers: int, writes: int, round: int) -> None:
    done = race(db_path, callers=callers, writes=writes, readers=4, limit=300)
    print(report(done))
    assert jain(done) >= 0.95
    assert worst_wait(done) < 2


@pytest.mark.soak
@pytest.mark.parametrize(("processes", "turn"), [(50, 0.025), (20, 0.1)])
def test_where_turns_are_long_no_process_waits_for_many_times_its_share(
    db_path: Path, processes: int, turn: float
) -> None:
    def start(fleet: Fleet) -> None:
        for _ in range(processes):
            fleet.start(take_long_turns, path=str(db_path), turn=turn, seconds=15)

    records = [record for of_one in run_fleet(start, limit=100) for record in of_one]
    turns = [record["turns"] for record in records]
    worst, share = max(record["worst"] for record in records), processes * turn
    print(
        f"{sum(turns)} turns, {min(turns)} to {max(turns)} a process; "
        f"worst wait {worst:.2f} s where a share is {share:.2f} s"
    )
    assert sum(turns) ** 2 / (len(turns) * sum(count**2 for count in turns)) >= 0.9
    assert worst < 5 * share


def test_every_way_of_writing_keeps_the_promises_beside_other_processes(db_path: Path) -> None:
    def start(fleet: Fleet) -> None:
        for _ in range(6):
            fleet.start(append, path=str(db_path), callers=4, writes=4 * len(WAYS), ways=list(WAYS), look_every=3)
        fleet.start(look, path=str(db_path), reads=100)

    all_acknowledged(db_path, start)


def test_two_handles_of_one_process_share_the_file_with_other_processes(db_path: Path) -> None:
    def start(fleet: Fleet) -> None:
        for _ in range(3):
            fleet.start(append, path=str(db_path), handles=2, callers=3, writes=2 * len(WAYS), ways=list(WAYS))

    all_acknowledged(db_path, start)


def test_no_update_is_lost_where_processes_read_a_counter_and_write_it_back(db_path: Path) -> None:
    def start(fleet: Fleet) -> None:
        for _ in range(8):
            fleet.start(count_up, path=str(db_path), times=50)

    records = run_fleet(start)
    assert_healthy(db_path)
    counted = [value for of_one in records for record in of_one for value in record["counted"]]
    assert sorted(counted) == list(range(1, 8 * 50 + 1))
    assert plain(db_path, "SELECT value FROM counter") == [(8 * 50,)]
