"""G5, G10, G14 and G16 where the disk fails: every k-th write, sync or cut of the log or the file, once or for good."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count, product
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb.config import Durability
from tests.faults.traced import Ended, run_program, strace
from tests.faults.writing import LONE, Ends, write_through_faults
from tests.support.workers import assert_promises_kept

Figures = Callable[[str], None]

WRITES, SYNCS, CUTS = ("pwrite64",), ("fdatasync", "fsync"), ("ftruncate",)
FILES: dict[str, tuple[str, ...]] = {"log": ("-wal",), "file": ("",), "both": ("", "-wal")}


@dataclass(frozen=True, slots=True)
class Fault:
    """The ``at``-th of these calls on these files fails, and with ``for_good`` all later ones."""

    calls: tuple[str, ...]
    files: str
    error: str
    for_good: bool
    at: int
    ends: Ends
    durability: Durability
    is_lone: bool = False

    def options(self, path: Path) -> list[str]:
        files = [option for suffix in FILES[self.files] for option in ("-P", f"{path}{suffix}")]
        when = f"{self.at}{'+' if self.for_good else ''}"
        return [*files, "-e", f"inject={','.join(self.calls)}:error={self.error}:when={when}"]


@dataclass
class Run:
    """What came of one program; ``struck`` says whether any call has failed."""

    ended: Ended
    struck: bool
    broken: list[str] = field(default_factory=list)

    def said(self, key: str) -> list[Any]:
        return [record[key] for record in self.ended.records if key in record]


def run_into(fault: Fault, place: Path, *, sabotage: str | None = None) -> Run:
    """Runs the program into it, and looks what is there afterwards."""
    place.mkdir()
    path, trace = place / "fault.db", place / "trace"
    try:
        ended = run_program(
            write_through_faults,
            under=strace(trace, fault.calls, *fault.options(path)),
            limit=60,
            path=str(path),
            ends=fault.ends.value,
            durability=fault.durability,
            seed=fault.at,
            sabotage=sabotage,
            **({"jobs": 12, **LONE} if fault.is_lone else {}),
        )
        run = Run(ended, "(INJECTED)" in trace.read_text())
        run.broken = list(_broken(fault, run, path))
    except subprocess.TimeoutExpired:
        run = Run(Ended(1, [], ""), struck=True, broken=["it hangs"])
    run.broken = [f"{fault}: {each}" for each in run.broken]
    shutil.rmtree(place)
    return run


def _broken(fault: Fault, run: Run, path: Path) -> Iterator[str]:
    died = run.ended.code == -9 and fault.ends is not Ends.CLOSED
    if run.ended.errors or not (died or run.ended.code == 0):
        yield f"it ended with {run.ended.code}: {run.ended.errors}"
    try:
        if run.said("Write"):
            assert_promises_kept(path, [run.ended.records])
    except AssertionError as error:
        yield str(error)
    unknown = [text for text, applied in zip(run.said("text"), run.said("applied"), strict=True) if applied is None]
    if fault.for_good:
        return
    if unknown:  # the fence can't have failed
        yield f"unknown after one failure: {unknown[0]}"
    statistics = run.said("statistics")
    if run.said("Write") and not died and not (statistics and run.said("handle") == [0]):
        yield f"it does not work again: {run.said('text')}"
    if any(pending or running for _, pending, running in statistics):
        yield "jobs are left"


# -- every k-th call --------------------------------------------------------------------------------------------------

KINDS = [
    *product([WRITES], FILES, ["EIO", "ENOSPC"]),
    *product([SYNCS], FILES, ["EIO", "ENOSPC"]),
    *product([CUTS], ["log", "both"], ["EIO"]),
]

WRITERS: dict[str, tuple[Durability, bool]] = {
    "three": ("normal", False),
    "a lone one": ("normal", True),
    "three at full durability": ("full", False),
}


def every_fault(calls: tuple[str, ...], files: str, error: str, writer: str) -> Iterator[Callable[[int], Fault]]:
    """For each way to fail and to end: the faults at the k-th call."""
    durability, is_lone = WRITERS[writer]
    for for_good, ends in product([False, True], Ends):
        yield partial(Fault, calls, files, error, for_good, ends=ends, durability=durability, is_lone=is_lone)


def until_none_strikes(place: Path, make: Callable[[int], Fault], name: str) -> Counter[str]:
    """The first call fails, the second, ..., until the program ends before it comes to it."""
    found: Counter[str] = Counter()
    for at in count(1):
        run = run_into(make(at), place / f"{name}.{at}")
        found.update(_counted(run))
        if not run.struck:
            return found
    raise AssertionError


def _counted(run: Run) -> Counter[str]:
    counted = Counter(runs=1, struck=run.struck, broken=len(run.broken), failed=len(run.said("error")))
    counted["unknown"] = sum(applied is None for applied in run.said("applied"))
    counted.update(run.broken)
    return counted


def report(found: Counter[str]) -> str:
    return (
        f"{found['struck']:,} faults struck in {found['runs']:,} runs: {found['failed']:,} calls failed, "
        f"{found['unknown']:,} of them unknown; {found['broken']} promises broken"
    )


def _texts(found: Counter[str]) -> list[str]:
    return [each for each in found if each.startswith("Fault(")][:5]


def in_parallel(tasks: Iterable[Callable[[], Counter[str]]]) -> Counter[str]:
    with ThreadPoolExecutor(2) as executor:
        return sum(executor.map(lambda task: task(), tasks), Counter())


def test_calls_that_fail_now_and_then_leave_every_outcome_known(tmp_path: Path, figures: Figures) -> None:
    choice = random.Random(9)
    faults = [
        make(choice.randint(1, 25))
        for kind in KINDS
        for writer in choice.sample(list(WRITERS), 1)
        for make in choice.sample(list(every_fault(*kind, writer)), 1)
    ]
    found = in_parallel(
        lambda fault=fault, n=n: _counted(run_into(fault, tmp_path / str(n)))  # type: ignore[misc]
        for n, fault in enumerate(faults)
    )
    figures(report(found))
    assert not found["broken"], _texts(found)
    assert found["struck"] > len(faults) / 3


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind[0][0]} {kind[1]} {kind[2]}")
def test_every_call_that_can_fail_leaves_every_outcome_known(
    tmp_path: Path, kind: tuple[tuple[str, ...], str, str], writer: str, figures: Figures
) -> None:
    found = in_parallel(
        lambda make=make, n=n: until_none_strikes(tmp_path, make, str(n))  # type: ignore[misc]
        for n, make in enumerate(every_fault(*kind, writer))
    )
    figures(f"{kind[0][0]} {kind[1]} {kind[2]}, {writer}: {report(found)}")
    assert not found["broken"], _texts(found)


def test_without_the_fence_an_error_comes_back_as_a_success(tmp_path: Path) -> None:
    def broken(sabotage: str | None) -> Iterator[str]:
        for at in range(3, 9):
            fault = Fault(SYNCS, "log", "EIO", False, at, Ends.KILLED_AT_ONCE, "full")
            yield from run_into(fault, tmp_path / f"{sabotage}.{at}", sabotage=sabotage).broken

    assert any("is there" in each for each in broken("no_fence"))
    assert list(broken(None)) == []


@pytest.mark.parametrize("durability", ["normal", "full"])
def test_a_checkpoint_that_can_not_write_the_file_shows_in_the_statistics_and_commits_go_on(
    tmp_path: Path, durability: Durability
) -> None:
    # The second: to make the file takes one, and then only checkpoints write it.
    run = run_into(Fault(WRITES, "file", "EIO", True, 2, Ends.CLOSED, durability), tmp_path / "run")
    assert run.struck
    assert not run.broken
    assert run.said("error") == []
    [[failures, _, _]] = run.said("statistics")
    assert failures > 0


@pytest.mark.parametrize("durability", ["normal", "full"])
def test_where_a_checkpoint_can_not_sync_nothing_is_called_durable(tmp_path: Path, durability: Durability) -> None:
    # Which of the two files it was SQLite does not say; if it was the log, it may have a gap.
    run = run_into(Fault(SYNCS, "file", "EIO", True, 2, Ends.CLOSED, durability), tmp_path / "run")
    assert run.struck
    assert not run.broken
    assert run.said("error")
    assert all("nothing can be made durable" in text for text in run.said("text"))
    assert set(run.said("applied")) == {False}


async def test_after_a_failed_sync_nothing_is_called_durable_while_a_reader_keeps_the_log(db_path: Path) -> None:
    insert = "INSERT INTO t VALUES (1)"
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        session = db._writer.session  # type: ignore[union-attr]
        async with db.snapshot() as snapshot:
            await snapshot.read("SELECT * FROM t")
            await db.write(insert)
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            await db.write_fn(lambda conn: session.note_failed_sync(error))
            for call in (db.write(insert, durable=True), db.flush()):
                with pytest.raises(aiomemdb.AiomemdbError, match="nothing can be made durable") as caught:
                    await call
                assert caught.value.applied is False
            with pytest.raises(aiomemdb.AiomemdbError, match="nothing can be made durable"):
                async with db.transaction(durable=True):
                    pass
            assert await db.write(insert) == 2  # what need not be durable goes on
        assert await db.write(insert, durable=True) == 3
        assert not session.log_in_doubt


# -- a slow disk, a short write, a full disk --------------------------------------------------------------------------


def test_on_a_slow_disk_all_is_slow_and_nothing_fails(tmp_path: Path) -> None:
    path = tmp_path / "slow.db"
    delays = [f"inject={call}:delay_exit=5000" for call in (*WRITES, *SYNCS)]
    ended = run_program(
        write_through_faults,
        under=strace(
            tmp_path / "trace", (*WRITES, *SYNCS), "-P", f"{path}-wal", *[o for d in delays for o in ("-e", d)]
        ),
        path=str(path),
        ends=Ends.CLOSED.value,
    )
    assert (ended.code, ended.errors) == (0, "")
    writes = assert_promises_kept(path, [ended.records])
    assert all(write.applied for write in writes)


def own_fault(place: Path, fault: str, room: int, *, ends: Ends) -> Run:
    path = place / "fault.db"
    ended = run_program(
        write_through_faults, limit=60, path=str(path), ends=ends.value, jobs=30, seed=room, fault=fault, room=room
    )
    run = Run(ended, struck=True)
    assert not ended.errors
    assert ended.code == (0 if ends is Ends.CLOSED else -9)
    assert_promises_kept(path, [ended.records])
    return run


FRAME = 24 + 4096


@pytest.mark.parametrize("ends", Ends)
@pytest.mark.parametrize(
    "room", [FRAME + 2048, *[pytest.param(room, marks=pytest.mark.soak) for room in range(0, 4 * FRAME, 512)]]
)
def test_a_write_that_is_cut_short_fails_and_the_writer_works_again_when_there_is_room(
    tmp_path: Path, ends: Ends, room: int
) -> None:
    run = own_fault(tmp_path, "the log can't grow", room, ends=ends)
    assert run.said("error")
    # Where not even the fence has room, the outcome is unknown and the database is opened anew.
    assert len(run.said("handle")) == (1 if ends is Ends.CLOSED else 0)


@contextmanager
def small_tmpfs(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("ends", Ends)
@pytest.mark.parametrize(
    "room", [6 * 4096, *[pytest.param(room, marks=pytest.mark.soak) for room in range(0, 8 * 4096, 4096)]]
)
def test_on_a_full_disk_writes_fail_as_not_applied_and_succeed_again_on_a_larger_one(
    tmp_path: Path, ends: Ends, room: int
) -> None:
    with small_tmpfs(tmp_path / "small") as place:
        run = own_fault(place, "the disk is full", room, ends=ends)
    assert run.said("error")
    assert None not in run.said("applied")
    assert run.said("handle") == ([0] if ends is Ends.CLOSED else []), "it had to be opened anew"
