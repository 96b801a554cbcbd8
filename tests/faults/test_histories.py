"""Every promise at once: many tasks of many processes, cancelled, killed and failed by the disk, and one checker.

What each caller was told, and the order in which it happened, must be what one program that does one thing after
another could have got (``tests.support.history``).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.writing import write_under_fire
from tests.support.fleet import Fleet
from tests.support.history import Write
from tests.support.workers import assert_promises_kept

Figures = Callable[[str], None]


def under_fire(
    path: Path,
    *,
    processes: int,
    tasks: int,
    jobs: int,
    kills: int,
    seed: int,
    limit: float,
    sabotage: str | None = None,
) -> list[Write]:
    """A fourth of the processes has a failing disk; some are killed, and others begin in their place."""
    dice = random.Random(seed)

    with Fleet(limit=limit) as fleet:

        def start() -> None:
            fleet.start(
                write_under_fire,
                path=str(path),
                tasks=tasks,
                jobs=jobs,
                seed=seed,
                faults=len(fleet.records) % 4 == 3,
                sabotage=sabotage,
            )

        for _ in range(processes):
            start()
        next_kill, killed = dice.randint(100, 500), 0
        for reported, _ in enumerate(fleet.messages()):
            if killed < kills and reported >= next_kill and fleet.alive:
                next_kill += dice.randint(1, 2 * processes * tasks * jobs // kills)
                killed += 1
                fleet.kill(dice.choice(fleet.alive))
                start()
    return assert_promises_kept(path, fleet.records)


@pytest.mark.parametrize(
    ("processes", "tasks", "jobs", "kills", "seed"),
    [
        (6, 20, 6, 3, 1),
        *[
            pytest.param(24, 200, 4, 12, seed, marks=[pytest.mark.soak, pytest.mark.timeout(900)])
            for seed in range(2, 12)
        ],
    ],
)
def test_the_history_of_many_tasks_of_many_processes_under_fire_is_right(
    db_path: Path, processes: int, tasks: int, jobs: int, kills: int, seed: int, figures: Figures
) -> None:
    writes = under_fire(
        db_path, processes=processes, tasks=tasks, jobs=jobs, kills=kills, seed=seed, limit=120 if kills < 5 else 600
    )
    figures(
        f"{processes} processes of {tasks} tasks, {kills} kills: {len(writes):,} writes, "
        f"{sum(write.applied is True for write in writes):,} acknowledged, "
        f"{sum(write.applied is False for write in writes):,} failed, "
        f"{sum(write.applied is None for write in writes):,} cancelled or unknown; no promise broken"
    )
    assert {write.applied for write in writes} >= {True, None}


def test_what_is_acknowledged_before_its_commit_makes_the_history_wrong(db_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"is not there|returned before"):
        under_fire(
            db_path, processes=1, tasks=20, jobs=50, kills=3, seed=1, limit=120, sabotage="acknowledge_before_commit"
        )
