"""G1, G3 and G13 under kill -9: nothing that was acknowledged is lost, no job is half there, the others go on."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from aiomemdb.config import Durability
from tests.faults.traced import run_program, strace
from tests.faults.writing import LONE, write_jobs, write_until_stopped
from tests.support.fairness import longest_gap
from tests.support.fleet import Fleet
from tests.support.history import Write
from tests.support.workers import WAYS, append, assert_promises_kept

Figures = Callable[[str], None]

# -- at any moment ----------------------------------------------------------------------------------------------------


def kill_again_and_again(
    path: Path, start: Callable[[Fleet], None], *, writers: int, kills: int, seed: int, limit: float
) -> list[Write]:
    """Of some processes that write, kills a random one when a random number of jobs was acknowledged; starts another.

    None of them ever closes the file: what is left in the end is killed too.
    """
    choice = random.Random(seed)
    with Fleet(limit=limit) as fleet:
        for _ in range(writers):
            start(fleet)
        killed, acknowledged, next_kill = 0, 0, choice.randint(50, 150)
        for _, record in fleet.messages():
            acknowledged += "Write" in record and record["Write"]["applied"] is True
            if acknowledged < next_kill or killed > kills or not fleet.alive:
                continue
            next_kill += choice.randint(1, 150)
            killed += 1
            if killed <= kills:
                fleet.kill(choice.choice(fleet.alive))
                start(fleet)
            else:
                for number in range(len(fleet.records)):
                    fleet.kill(number)
    assert len(fleet.records) == writers + kills
    writes = assert_promises_kept(path, fleet.records)
    assert any(write.applied is None for write in writes), "the kills have struck no process that was writing"
    return writes


def report(kills: int, writes: list[Write]) -> str:
    acknowledged = [write for write in writes if write.applied]
    return (
        f"{kills:,} kills, {len(acknowledged):,} of {len(writes):,} writes acknowledged, 0 lost; the longest time in "
        f"which a living process got no acknowledgement: {longest_gap(acknowledged):.3f} s"
    )


# The table grows, and each look at all of it takes longer: so full size is some campaigns, each on a new file.
ROUNDS = [(1, 10), *[pytest.param(seed, 100, marks=[pytest.mark.soak, pytest.mark.timeout(900)]) for seed in range(10)]]


@pytest.mark.parametrize(("seed", "kills"), ROUNDS)
def test_what_was_acknowledged_outlasts_the_kills_of_its_process_and_of_seven_others(
    db_path: Path, seed: int, kills: int, figures: Figures
) -> None:
    def start(fleet: Fleet) -> None:
        fleet.start(append, path=str(db_path), writes=None, callers=3, ways=list(WAYS), look_every=5, at_once=True)

    writes = kill_again_and_again(db_path, start, writers=8, kills=kills, seed=seed, limit=60 + 5 * kills)
    figures(report(kills, writes))
    assert longest_gap(writes) < 2


def kill_the_only_one(
    path: Path, *, durability: Durability, kills: int, seed: int, sabotage: str | None = None
) -> list[Write]:
    def start(fleet: Fleet) -> None:
        fleet.start(
            write_until_stopped,
            path=str(path),
            durability=durability,
            seed=len(fleet.records),
            sabotage=sabotage,
            **(LONE if len(fleet.records) % 2 else {}),
        )

    return kill_again_and_again(path, start, writers=1, kills=kills, seed=seed, limit=60 + 5 * kills)


@pytest.mark.parametrize(("seed", "kills"), ROUNDS)
@pytest.mark.parametrize("durability", ["normal", "full"])
def test_what_was_acknowledged_outlasts_the_kills_of_the_only_process(
    db_path: Path, durability: Durability, seed: int, kills: int, figures: Figures
) -> None:
    writes = kill_the_only_one(db_path, durability=durability, kills=kills, seed=seed)
    figures(f"{durability}: {report(kills, writes)}")


def test_what_is_acknowledged_before_its_commit_is_lost_by_the_same_kills(db_path: Path) -> None:
    with pytest.raises(AssertionError, match="is not there"):
        kill_the_only_one(db_path, durability="normal", kills=10, seed=1, sabotage="acknowledge_before_commit")


# -- at every system call ---------------------------------------------------------------------------------------------

CALLS = ("pwrite64", "fdatasync", "fsync", "ftruncate", "unlink", "flock", "fcntl", "mmap")
SUFFIXES = ("", "-wal", "-shm", "-journal", "-lock", "-next")


def killed_at(place: Path, at: int, *, durability: Durability, seed: int) -> Counter[str]:
    """A program dies as it begins its at-th of these calls on the files; another goes on with what is there."""
    place.mkdir()
    path = place / "kill.db"
    files = [option for suffix in SUFFIXES for option in ("-P", f"{path}{suffix}")]
    inject = f"inject={','.join(CALLS)}:signal=KILL:when={at}"
    arguments: dict[str, Any] = {"path": str(path), "durability": durability, "seed": seed, "small_log": True}
    tracer = strace(place / "trace", CALLS, *files, "-e", inject, signals=True)
    who: dict[str, Any] = {"jobs": 24, **LONE} if seed % 2 else {"jobs": 12, "callers": 2}
    first = run_program(write_jobs, under=tracer, **who, **arguments)
    assert first.code in (0, -9) and not first.errors, first
    second = run_program(write_jobs, number=1, jobs=2, callers=2, **arguments)
    assert second.code == 0 and not second.errors, second
    writes = assert_promises_kept(path, [first.records, second.records])
    shutil.rmtree(place)
    return Counter(
        kills=first.code == -9,
        acknowledged=sum(write.applied is True for write in writes),
        unknown=sum(write.applied is None for write in writes),
    )


def _at_calls(found: Counter[str]) -> str:
    return (
        f"{found['kills']:,} kills, {found['acknowledged']:,} writes acknowledged, 0 lost, {found['unknown']:,} unknown"
    )


def killed_at_each(place: Path, moments: Iterable[int], *, durability: Durability, seed: int) -> Counter[str]:
    with ThreadPoolExecutor(2) as executor:
        each = executor.map(
            lambda at: killed_at(place / str(at), at, durability=durability, seed=seed), moments, timeout=600
        )
        return sum(each, Counter())


@pytest.mark.parametrize(("durability", "seed"), [("normal", 1), ("full", 2)])
def test_a_program_that_is_killed_at_a_system_call_has_lost_nothing(
    tmp_path: Path, durability: Durability, seed: int, figures: Figures
) -> None:
    moments = random.Random(seed).sample(range(10, 70), 4)
    found = killed_at_each(tmp_path, moments, durability=durability, seed=seed)
    figures(f"{durability}: {_at_calls(found)}")
    assert found["kills"] == len(moments)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("durability", ["normal", "full"])
def test_a_program_that_is_killed_at_any_system_call_has_lost_nothing(
    tmp_path: Path, durability: Durability, seed: int, figures: Figures
) -> None:
    found: Counter[str] = Counter()
    for first in count(1, 20):
        some = killed_at_each(tmp_path, range(first, first + 20), durability=durability, seed=seed)
        found += some
        if some["kills"] < 20:  # it has ended before it came to the last of them
            break
    figures(f"{durability}: {_at_calls(found)}")
    assert found["unknown"] > 0
