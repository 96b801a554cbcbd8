"""G1, G3 and G13 under kill -9: nothing that was acknowledged is lost, no job is half there, the others go on."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.fairness import longest_gap
from tests.support.fleet import Fleet
from tests.support.history import Write
from tests.support.workers import WAYS, append, assert_promises_kept

WRITERS = 4


def kill_again_and_again(path: Path, *, kills: int, seed: int, limit: float) -> list[Write]:
    """Of four processes that write, kills a random one when a random number of jobs was acknowledged; starts another.

    None of them ever closes the file: what is left in the end is killed too.
    """
    choice = random.Random(seed)

    with Fleet(limit=limit) as fleet:

        def start() -> None:
            fleet.start(append, path=str(path), writes=None, callers=3, ways=list(WAYS), look_every=5, at_once=True)

        for _ in range(WRITERS):
            start()
        killed, acknowledged, next_kill = 0, 0, choice.randint(50, 150)
        for _, record in fleet.messages():
            acknowledged += "Write" in record and record["Write"]["applied"] is True
            if acknowledged < next_kill or killed > kills:
                continue
            next_kill += choice.randint(50, 150)
            killed += 1
            if killed <= kills:
                fleet.kill(choice.choice(fleet.alive))
                start()
            else:
                for number in range(len(fleet.records)):
                    fleet.kill(number)
    assert len(fleet.records) == WRITERS + kills
    writes = assert_promises_kept(path, fleet.records)
    assert any(write.applied is None for write in writes), "the kills have struck nobody who was writing"
    return writes


def report(writes: list[Write]) -> str:
    acknowledged = [write for write in writes if write.applied]
    return (
        f"{len(acknowledged)} of {len(writes)} writes acknowledged; the longest time in which a living process got no "
        f"acknowledgement: {longest_gap(acknowledged):.3f} s"
    )


def test_what_was_acknowledged_outlasts_every_kill(db_path: Path) -> None:
    print(report(kill_again_and_again(db_path, kills=10, seed=1, limit=40)))


@pytest.mark.soak
def test_what_was_acknowledged_outlasts_a_hundred_kills_and_the_others_go_on(db_path: Path) -> None:
    writes = kill_again_and_again(db_path, kills=100, seed=2, limit=600)
    print(report(writes))
    assert longest_gap(writes) < 2
