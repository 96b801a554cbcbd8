"""G2 and G3 on every disk that a power cut may leave: images made from the system calls of a run.

A run's writes, syncs and acknowledgements are traced in their order. At many moments of it thousands of possible states
of the disk are written out, opened with plain sqlite3, and checked against what had been acknowledged by then.
"""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from aiomemdb.config import Durability
from tests.faults.images import CALLS, Disk
from tests.faults.survival import broken_promises
from tests.faults.traced import Call, calls, run_program, strace
from tests.faults.writing import DURABLE, LONE, PLAIN, Ends, write_jobs, write_through_faults
from tests.support.history import Write
from tests.support.plain import assert_healthy, plain
from tests.support.workers import heard

Figures = Callable[[str], None]


def trace_run(place: Path, *, durability: Durability, seed: int, sabotage: str | None = None) -> list[Call]:
    """The calls of two programs, one after the other, that write in every way, with many checkpoints.

    The first one dies of kill -9, so that the second finds a log that was never synced.
    """
    trace, path = place / "trace", place / "run" / "crash.db"
    path.parent.mkdir()
    who: dict[str, Any] = {"jobs": 12 + seed, "ways": PLAIN * 2 + DURABLE}
    if durability == "normal" and seed % 2:
        who = {"jobs": 3 * (12 + seed), **LONE}
    traced: list[Call] = []
    for number in range(2):
        ended = run_program(
            write_jobs,
            number=number,
            under=strace(trace, CALLS, "-y", "-xx", "-s", "100000"),
            path=str(path),
            durability=durability,
            seed=seed,
            small_log=True,
            die=number == 0,
            sabotage=sabotage,
            **who,
        )
        assert ended.code == (-9 if number == 0 else 0) and not ended.errors, ended
        traced += calls(trace)
    shutil.rmtree(path.parent)
    return traced


def crash_again_and_again(
    place: Path, traced: Sequence[Call], *, images: int, full: bool, seed: int, deaf: bool = False, since: int = 0
) -> tuple[Counter[str], list[str]]:
    """Writes ``images`` possible disks at moments spread over the run; returns counts and the broken ones."""
    choice = random.Random(seed)
    database = place / "run" / "crash.db"
    disk = Disk(database, deaf=deaf)
    records: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    broken: list[str] = []
    # Where the power fails: only between calls on these files it matters when.
    matters = [index for index, call in enumerate(traced) if index >= since and call.name not in ("openat", "write")]
    moments = Counter(choice.choices(matters, k=images))
    for index, call in enumerate(traced):
        writes, _ = heard([deepcopy(records)]) if moments[index] else ([], [])
        for _ in range(moments[index]):
            image = place / "image"
            image.mkdir()
            disk.power_fails(choice, image)
            if choice.random() < 0.2:
                (image / f"{database.name}-shm").write_bytes(choice.randbytes(32768))  # it is never synced
            found, lost = _check(image / database.name, writes, full=full)
            counts.update(images=1, acknowledged=sum(write.applied is True for write in writes), taken_back=lost)
            broken += found
            shutil.rmtree(image)
        disk.follow(call)
        if call.name == "write" and call.text.startswith("write(1<") and call.result is not None:
            records += [what for _, kind, what in map(json.loads, call.bytes(0).splitlines()) if kind == "record"]
    return counts, broken


def _check(path: Path, writes: Sequence[Write], *, full: bool) -> tuple[list[str], int]:
    """What is wrong with this disk, and how many acknowledged writes it has lost."""
    table: list[tuple[int, int]] = []
    if path.exists():
        try:
            assert_healthy(path)
            if plain(path, "SELECT 1 FROM sqlite_schema WHERE name = 'history'"):
                table = [(id, token) for id, token in plain(path, "SELECT id, token FROM history ORDER BY id")]
        except (sqlite3.Error, AssertionError) as error:
            return [f"corrupt: {error}"], 0
    there = {token for _, token in table}
    lost = sum(write.applied is True and write.tokens[0] not in there for write in writes)
    return broken_promises(writes, table, full=full), lost


def report(counts: Counter[str], broken: Sequence[str]) -> str:
    corrupt = sum(each.startswith("corrupt") for each in broken)
    return (
        f"{counts['images']:,} images of {counts['runs']} runs, {counts['acknowledged']:,} acknowledgements checked, "
        f"{counts['taken_back']:,} taken back, {len(broken)} promises broken, {corrupt} corrupt"
    )


def campaign(place: Path, *, durability: Durability, runs: int, images: int) -> tuple[Counter[str], list[str]]:
    counts: Counter[str] = Counter()
    broken: list[str] = []
    for seed in range(runs):
        traced = trace_run(place, durability=durability, seed=seed)
        found, more = crash_again_and_again(place, traced, images=images // runs, full=durability == "full", seed=seed)
        counts += found
        counts["runs"] += 1
        broken += more
    return counts, broken


SIZES = [(2, 120), pytest.param(20, 10_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])]


@pytest.mark.parametrize(("runs", "images"), SIZES)
def test_no_disk_that_a_power_cut_may_leave_has_lost_what_was_acknowledged_at_full(
    tmp_path: Path, runs: int, images: int, figures: Figures
) -> None:
    counts, broken = campaign(tmp_path, durability="full", runs=runs, images=images)
    figures(report(counts, broken))
    assert not broken, broken[:5]
    assert counts["taken_back"] == 0


@pytest.mark.parametrize(("runs", "images"), SIZES)
def test_no_disk_that_a_power_cut_may_leave_is_corrupt_or_has_a_hole_at_normal(
    tmp_path: Path, runs: int, images: int, figures: Figures
) -> None:
    counts, broken = campaign(tmp_path, durability="normal", runs=runs, images=images)
    figures(report(counts, broken))
    assert not broken, broken[:5]
    assert counts["taken_back"] > 0, "no image has lost anything: they prove nothing"


def test_on_a_disk_that_does_not_sync_the_same_images_are_corrupt_and_lose_writes(tmp_path: Path) -> None:
    traced = trace_run(tmp_path, durability="full", seed=1)
    _, broken = crash_again_and_again(tmp_path, traced, images=150, full=True, seed=1, deaf=True)
    assert any(each.startswith("corrupt") for each in broken)
    assert any(each.startswith("acknowledged and lost") for each in broken)


@pytest.mark.parametrize("sabotage", ["never_sync", "acknowledge_before_commit"])
def test_without_a_sync_or_a_commit_the_same_images_lose_writes(tmp_path: Path, sabotage: str) -> None:
    traced = trace_run(tmp_path, durability="full", seed=1, sabotage=sabotage)
    _, broken = crash_again_and_again(tmp_path, traced, images=100, full=True, seed=1)
    assert any(each.startswith("acknowledged and lost") for each in broken)


# -- a sync that fails ------------------------------------------------------------------------------------------------


def _acknowledges_durable(call: Call) -> bool:
    return call.name == "write" and b'"applied": true, "durable": true' in call.bytes(0)


def after_failed_sync(
    place: Path, at: int, *, images: int, sabotage: str | None = None
) -> tuple[Counter[str], list[str]]:
    """The at-th sync of a run fails, and loses what it was to write; the power fails at any time after the next durable
    write was acknowledged. (Before that the log has a gap, and while it is moved into the file no page is safe.)
    """
    trace, path = place / "trace", place / "run" / "crash.db"
    path.parent.mkdir()
    inject = ["-e", f"inject=fdatasync:error=EIO:when={at}"]
    ended = run_program(
        write_through_faults,
        under=strace(trace, CALLS, "-y", "-xx", "-s", "100000", *inject),
        path=str(path),
        ends=Ends.KILLED.value,
        seed=at,
        sabotage=sabotage,
        **({"jobs": 24, **LONE} if at % 2 else {"jobs": 8}),
    )
    assert ended.code in (0, -9) and not ended.errors, ended  # 0: it could not be opened
    traced = list(calls(trace))
    shutil.rmtree(path.parent)
    failed = [index for index, call in enumerate(traced) if call.name == "fdatasync" and call.result == -1]
    if not failed or traced[failed[0]].file() != f"{path}-wal":
        return Counter(), []
    told = [index for index, call in enumerate(traced) if index > failed[0] and _acknowledges_durable(call)]
    if not told:
        return Counter(), []
    counts, broken = crash_again_and_again(place, traced, images=images, full=False, seed=at, since=told[0])
    counts["runs"] += 1
    return counts, broken


# Where a failed sync is forgotten, writes are lost by the failure of the 12th and of the 14th.
@pytest.mark.parametrize(
    ("syncs", "images"),
    [((8, 11, 12, 14), 40), pytest.param(range(7, 40), 300, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])],
)
def test_what_is_durable_after_a_sync_has_failed_outlasts_a_power_cut(
    tmp_path: Path, syncs: Sequence[int], images: int, figures: Figures
) -> None:
    counts: Counter[str] = Counter()
    for at in syncs:
        found, broken = after_failed_sync(tmp_path, at, images=images)
        assert not broken, (at, broken[:5])
        counts += found
    figures(report(counts, []))
    assert counts["runs"] > 0


def test_where_a_failed_sync_is_forgotten_the_same_images_lose_durable_writes(tmp_path: Path) -> None:
    for at in range(12, 30):
        _, broken = after_failed_sync(tmp_path, at, images=50, sabotage="forget_failed_sync")
        if any(each.startswith("acknowledged and lost") for each in broken):
            return
    pytest.fail("nothing was lost")
