"""G2 and G3 under power cuts: a file system is shut down under the running program, without flushing.

The program's acknowledgements come by a pipe, so they outlast the disk. After each cut a copy of what is on the disk is
checked; then the next program opens what was left, as it was left.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from aiomemdb.config import Durability
from tests.faults.disk import Disk, why_not
from tests.faults.survival import broken_promises
from tests.faults.writing import DURABLE, LONE, PLAIN, write_until_stopped
from tests.support.fleet import Fleet
from tests.support.history import Write
from tests.support.plain import assert_healthy, plain
from tests.support.workers import heard

CUTS_A_DISK = 10


@dataclass
class Campaign:
    """What has come of the cuts so far."""

    cuts: int = 0
    acknowledged: int = 0
    durable: int = 0
    taken_back: int = 0
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.cuts} cuts, {self.acknowledged:,} writes acknowledged ({self.durable:,} durable), "
            f"{self.taken_back:,} taken back, {len(self.broken)} promises broken"
        )


@pytest.fixture(autouse=True)
def _needs_a_disk(tmp_path_factory: pytest.TempPathFactory) -> None:
    if reason := why_not(tmp_path_factory.getbasetemp()):
        pytest.skip(reason)


def cut_again_and_again(
    place: Path,
    *,
    cuts: int,
    durability: Durability,
    ways: Sequence[str],
    seed: int,
    sabotage: str | None = None,
) -> Campaign:
    choice = random.Random(seed)
    campaign = Campaign()
    for start in range(0, cuts, CUTS_A_DISK):
        with Disk(place) as disk, Fleet(limit=60 + 2 * CUTS_A_DISK) as fleet:
            path, copy = disk.folder / "cut.db", place / "copy"
            survivors: list[tuple[int, int]] = []
            for _ in range(min(CUTS_A_DISK, cuts - start)):
                is_lone = sabotage is None and len(fleet.records) % 2 == 1
                number = fleet.start(
                    write_until_stopped,
                    path=str(path),
                    durability=durability,
                    seed=choice.randrange(1 << 30),
                    sabotage=sabotage,
                    **(LONE if is_lone else {"ways": ways}),
                )
                acknowledged, enough, cut_at = 0, int(2 ** choice.uniform(2, 9)), 0
                for _, record in fleet.messages():
                    acknowledged += "Write" in record and record["Write"]["applied"] is True
                    if acknowledged == enough and number in fleet.alive:
                        cut_at = disk.cut()
                        fleet.kill(number)
                disk.restart()
                shutil.copytree(disk.folder, copy, ignore=shutil.ignore_patterns("lost+found"))
                table = _table(copy / path.name)
                shutil.rmtree(copy)
                writes = [_as_heard_before(cut_at, write) for write in heard([fleet.records[number]])[0]]
                campaign.cuts += 1
                campaign.acknowledged += sum(write.applied is True for write in writes)
                campaign.durable += sum(write.applied is True and write.durable for write in writes)
                there = {token for _, token in table}
                campaign.taken_back += sum(write.applied is True and write.tokens[0] not in there for write in writes)
                if table[: len(survivors)] != survivors:
                    campaign.broken.append("what had survived an earlier cut is gone")
                campaign.broken += broken_promises(writes, table[len(survivors) :], full=durability == "full")
                survivors = table
    return campaign


def _as_heard_before(moment: int, write: Write) -> Write:
    if write.returned is None or write.returned < moment:
        return write
    return replace(write, returned=None, applied=None)


def _table(path: Path) -> list[tuple[int, int]]:
    if not path.exists():  # not even its name has reached the disk
        return []
    assert_healthy(path)
    if not plain(path, "SELECT 1 FROM sqlite_schema WHERE name = 'history'"):
        return []
    return [(id, token) for id, token in plain(path, "SELECT id, token FROM history ORDER BY id")]


Figures = Callable[[str], None]


@pytest.mark.parametrize("cuts", [4, pytest.param(300, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
def test_with_full_durability_a_power_cut_takes_nothing_back(tmp_path: Path, cuts: int, figures: Figures) -> None:
    campaign = cut_again_and_again(tmp_path, cuts=cuts, durability="full", ways=PLAIN + DURABLE, seed=cuts)
    figures(str(campaign))
    assert not campaign.broken
    assert campaign.taken_back == 0


@pytest.mark.parametrize("cuts", [4, pytest.param(300, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
def test_with_normal_durability_a_power_cut_takes_back_a_suffix_and_nothing_durable(
    tmp_path: Path, cuts: int, figures: Figures
) -> None:
    ways = PLAIN * 4 + DURABLE
    campaign = cut_again_and_again(tmp_path, cuts=cuts, durability="normal", ways=ways, seed=cuts)
    figures(str(campaign))
    assert not campaign.broken
    assert campaign.taken_back > 0, "the cuts have lost nothing: they prove nothing"


@pytest.mark.parametrize(
    ("sabotage", "durability"),
    [("never_sync", "full"), ("never_sync", "normal"), ("acknowledge_before_commit", "full")],
)
def test_without_a_sync_or_a_commit_the_same_cuts_break_promises(
    tmp_path: Path, sabotage: str, durability: Durability
) -> None:
    ways = DURABLE if durability == "normal" else PLAIN
    campaign = cut_again_and_again(tmp_path, cuts=3, durability=durability, ways=ways, seed=1, sabotage=sabotage)
    assert campaign.broken
