"""G3, G8, G9 and G10 under thousands of schedules: whatever is cancelled wherever, in whatever order all goes on.

A failure names its seed, and the same seed repeats the run: ``AIOMEMDB_SEED=17 make test ARGS="-k one_schedule"``.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, product
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import aiomemdb
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.writing.batch import Batch
from tests.faults.schedules import scheduled
from tests.support.cancelling import Way, cancelled_at, suspension_points
from tests.support.plain import assert_healthy, plain
from tests.support.verbs import INSERT, LOG, VERBS, Verb
from tests.support.whole import assert_whole

Figures = Callable[[str], None]


async def _write_in_time(db: SQLiteDatabase, job: int, *, timeout: float) -> None:
    await db.write(INSERT, (job,), timeout=timeout)


async def _transaction_in_time(db: SQLiteDatabase, job: int, *, timeout: float) -> None:
    async with db.transaction(timeout=timeout) as tx:
        await tx.write(INSERT, (job,), timeout=timeout)
        await tx.write(INSERT, (job,))


async def _read_in_time(db: SQLiteDatabase, job: int, *, timeout: float) -> None:
    await db.read("SELECT count(*) FROM log", timeout=timeout)


def _verb(dice: random.Random) -> tuple[Verb, int]:
    """Any, or one with a time limit that may run out at any moment."""
    timed: list[tuple[Verb, int]] = [
        (partial(verb, timeout=dice.choice([0, 0.001, 0.01])), rows)
        for verb, rows in ((_write_in_time, 1), (_transaction_in_time, 2), (_read_in_time, 0))
    ]
    return dice.choice([*VERBS.values(), *timed])


async def agents(path: Path, seed: object, expected: dict[int, tuple[int, bool | None]]) -> None:
    """Some tasks, each with some verbs, most of them cancelled at some suspension; then all is whole.

    Or the database is closed meanwhile, perhaps by a task that is cancelled too.
    """
    dice, numbers = random.Random(f"agents {seed}"), count(1)
    closes = dice.random() < 0.3

    async def agent(db: SQLiteDatabase) -> None:
        for _ in range(dice.randint(1, 3)):
            (verb, rows), job = _verb(dice), next(numbers)
            expected[job] = (rows, None)

            async def acknowledged(verb: Verb = verb, rows: int = rows, job: int = job) -> None:
                await verb(db, job)
                expected[job] = (rows, True)

            try:
                if dice.random() < 0.6:
                    await cancelled_at(dice.randint(1, 8), dice.choice(list(Way)), acknowledged())
                else:
                    await acknowledged()
            except (aiomemdb.WriteTimeout, aiomemdb.QueueFull, aiomemdb.DatabaseClosed) as error:
                assert closes or not isinstance(error, aiomemdb.DatabaseClosed)
                expected[job] = (rows, error.applied)
            except (aiomemdb.ReadTimeout, aiomemdb.TransactionTimeout):
                pass

    async def close(db: SQLiteDatabase) -> None:
        for _ in range(dice.randint(0, 100)):
            await asyncio.sleep(0)
        await cancelled_at(dice.randint(1, 4), dice.choice(list(Way)), db.close(drain=dice.random() < 0.5))

    async with aiomemdb.connect(path, readers=2, max_pending=dice.choice([2, 10_000])) as db:
        await db.write_script(LOG)
        tasks = [agent(db) for _ in range(dice.randint(2, 7))]
        if closes:
            await asyncio.gather(close(db), *tasks)
        else:
            await asyncio.gather(*tasks)
            await assert_whole(db)


def run_schedule(place: Path, seed: object) -> tuple[Counter[str], object]:
    """Runs one; returns what came of its jobs, and a record of it that another run of the same seed must equal."""
    path = place / "schedule.db"
    expected: dict[int, tuple[int, bool | None]] = {}
    reports: list[object] = []
    with scheduled(seed) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: reports.append(context))
        runner.run(agents(path, seed, expected))
    assert not reports, reports
    assert_healthy(path)
    found: dict[int, int] = dict(plain(path, "SELECT job, count(*) FROM log GROUP BY job"))
    for job, (rows, applied) in expected.items():
        there = found.get(job, 0)
        right = {True: {rows}, False: {0}, None: {0, rows}}[applied]
        assert there in right, f"job {job}: {there} rows of {rows}, applied={applied}"
    history = [sorted(expected.items()), plain(path, "SELECT job FROM log ORDER BY id")]
    for file in place.iterdir():
        file.unlink()
    return Counter(str(applied) for _, applied in expected.values()), history


def run_schedules(place: Path, seeds: range) -> Counter[str]:
    found: Counter[str] = Counter()
    for seed in seeds:
        try:
            found += run_schedule(place, seed)[0]
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
    return found


def _report(seeds: range, found: Counter[str]) -> str:
    return (
        f"{len(seeds):,} schedules, {found.total():,} jobs: {found['True']:,} acknowledged, {found['None']:,} "
        f"cancelled, {found['False']:,} not applied; 0 by half, 0 lost"
    )


@pytest.fixture
def place() -> Iterator[Path]:
    """In memory, where there is such a place: thousands of files are made, synced and removed."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def test_one_schedule(place: Path) -> None:
    run_schedule(place, int(os.environ.get("AIOMEMDB_SEED", "0")))


def test_schedules_leave_every_job_whole_or_not_there(place: Path, figures: Figures) -> None:
    seeds = range(100)
    figures(_report(seeds, run_schedules(place, seeds)))


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("thousand", range(10))
def test_thousands_of_schedules_leave_every_job_whole_or_not_there(
    place: Path, thousand: int, figures: Figures
) -> None:
    seeds = range(1000 * thousand, 1000 * (thousand + 1))
    figures(_report(seeds, run_schedules(place, seeds)))


async def one_cancelled(path: Path, verb: Verb, way: Way, at: int, rows: int) -> bool:
    """One job, cancelled at one suspension, beside three that are not; returns whether it came to that suspension."""
    async with aiomemdb.connect(path, readers=2) as db:
        await db.write_script(LOG)
        others = [asyncio.create_task(db.write(INSERT, (job,))) for job in (10, 11, 12)]
        reached = await cancelled_at(at, way, verb(db, 1))  # type: ignore[arg-type]
        await asyncio.gather(*others)
        await assert_whole(db)
    found: dict[int, int] = dict(plain(path, "SELECT job, count(*) FROM log GROUP BY job"))
    assert found.pop(1, 0) in (0, rows)
    assert found == {10: 1, 11: 1, 12: 1}
    return reached


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("way", Way)
def test_every_verb_cancelled_at_every_suspension_in_many_orders_is_whole_or_not_there(
    place: Path, way: Way, figures: Figures
) -> None:
    schedules = 0
    for (name, (verb, rows)), order in product(VERBS.items(), range(10)):
        for at in suspension_points():
            schedules += 1
            with scheduled(f"{name} {way} {at} {order}") as runner:
                reached = runner.run(one_cancelled(place / "one.db", verb, way, at, rows))
            for file in place.iterdir():
                file.unlink()
            if not reached:
                break
    figures(f"cancelled {way.value}: {schedules:,} schedules of {len(VERBS)} verbs, 0 by half, 0 lost")


def test_a_seed_repeats_its_run(place: Path) -> None:
    for seed in range(20):
        assert run_schedule(place, seed) == run_schedule(place, seed)


def test_a_job_that_runs_though_its_caller_was_told_that_it_never_will_is_found(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Batch, "leave_out_left", lambda batch: None)
    with pytest.raises(AssertionError, match="applied=False"):
        run_schedules(place, range(150))


def test_another_seed_runs_otherwise(place: Path) -> None:
    def order(seed: int) -> list[int]:
        with scheduled(seed) as runner:
            done: list[int] = []

            async def main() -> None:
                async def one(number: int) -> None:
                    await asyncio.sleep(0)
                    done.append(number)

                await asyncio.gather(*[one(number) for number in range(10)])

            runner.run(main())
        return done

    assert order(1) == order(1) != order(2)
