"""Many jobs in one transaction: each its own result or its own error, in the order of their calls."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import psycopg
import pytest

import aiomemdb
from aiomemdb.postgres.database import PostgresDatabase
from tests.postgres.test_outcomes import wait_until_it_waits
from tests.support.postgres import execute, until_it_sleeps

INSERT = "INSERT INTO item (name) VALUES ($1)"


async def names(db: PostgresDatabase) -> list[str]:
    return [row[0] for row in await db.read("SELECT name FROM item ORDER BY id")]


async def test_jobs_that_return_no_row_two_and_three_are_told_apart(db: PostgresDatabase) -> None:
    await db.write_many("INSERT INTO item (name, size) VALUES ($1, $2)", [(str(n), n % 3) for n in range(9)])
    sql = "UPDATE item SET size = size WHERE size = $1 AND id <= $2 RETURNING name"
    for _ in range(3):
        rows = await asyncio.gather(*(db.write_returning(sql, (n % 4, n)) for n in range(10)))
        expected = [[str(k) for k in range(n) if k % 3 == n % 4] for n in range(10)]
        assert [[row["name"] for row in each] for each in rows] == expected
        assert {len(each) for each in rows} == {0, 2, 3}
    assert db.statistics().largest_batch == 10


async def test_counts_are_each_jobs_own(db: PostgresDatabase) -> None:
    await db.write_many(INSERT, [(str(n),) for n in range(10)])
    counts = await asyncio.gather(*(db.write_count("UPDATE item SET size = 1 WHERE id <= $1", (n,)) for n in range(8)))
    assert counts == list(range(8))


async def test_one_of_many_tasks_that_claim_a_row_gets_it(db: PostgresDatabase) -> None:
    await db.write(INSERT, ("task",))
    claim = "UPDATE item SET size = $1 WHERE id = 1 AND size IS NULL"
    counts = await asyncio.gather(*(db.write_count(claim, (n,)) for n in range(20)))
    assert counts == [1] + [0] * 19


async def test_jobs_commit_in_the_order_of_their_calls(db: PostgresDatabase) -> None:
    futures = [db.submit(INSERT, (str(n),)) for n in range(300)]
    await asyncio.gather(*futures)
    assert await names(db) == [str(n) for n in range(300)]


@pytest.mark.parametrize("culprits", [{0}, {99}, {50}, {3, 4, 5, 60}, set(range(0, 100, 2)), set(range(100))])
async def test_each_error_goes_to_its_own_caller_and_all_others_are_written_in_order(
    db: PostgresDatabase, culprits: set[int]
) -> None:
    sql = "INSERT INTO item (name, size) VALUES ($1, $2) RETURNING id"
    jobs = [db.write(sql, (str(n), -1 if n in culprits else n)) for n in range(100)]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert {n for n, result in enumerate(results) if isinstance(result, psycopg.errors.CheckViolation)} == culprits
    assert all(isinstance(result, int) for n, result in enumerate(results) if n not in culprits)
    assert await names(db) == [str(n) for n in range(100) if n not in culprits]
    assert db.statistics().batches == 1 and db.statistics().write_errors == len(culprits)


async def test_unlike_jobs_share_a_batch_and_a_part_of_a_job_is_never_left(db: PostgresDatabase) -> None:
    results: list[Any] = await asyncio.gather(
        db.write_many(INSERT, [("a",), ("b",)]),
        db.write_many(INSERT, [("c",), ("a",)]),
        db.write_script(f"{INSERT.replace('$1', chr(39) + 'd' + chr(39))}; SELECT nowhere"),
        db.write_any("SELECT count(*) FROM item"),
        db.write_returning("DELETE FROM item WHERE name = 'b' RETURNING name"),
        db.write("selec"),
        db.flush(),
        db.write(INSERT, ("e",), durable=True),
        return_exceptions=True,
    )
    assert [type(result).__name__ for result in results] == [
        "int",
        "UniqueViolation",
        "UndefinedColumn",
        "Result",
        "list",
        "SyntaxError",
        "NoneType",
        "NoneType",
    ]
    assert "in row 2 of write_many" in results[1].__notes__
    assert (results[0], results[3].rows[0][0], results[4][0]["name"]) == (2, 2, "b")
    assert await names(db) == ["a", "e"]
    assert db.statistics().batches == 1


async def test_a_deferred_constraint_fails_the_job_that_breaks_it_alone(db: PostgresDatabase) -> None:
    await db.write("CREATE TABLE child (item bigint REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED, name text)")
    await db.write(INSERT, ("a",))
    child = "INSERT INTO child VALUES ($1, $2)"
    results = await asyncio.gather(
        *(db.write(child, (99 if n == 7 else 1, str(n))) for n in range(16)),
        return_exceptions=True,
    )
    assert [n for n, result in enumerate(results) if isinstance(result, psycopg.errors.ForeignKeyViolation)] == [7]
    assert await db.read_value("SELECT count(*) FROM child") == 15


async def test_a_job_that_waits_too_long_for_a_lock_fails_alone(url: str) -> None:
    execute(url, "CREATE TABLE item (id serial, name text)")
    db: PostgresDatabase
    async with aiomemdb.connect(url, lock_timeout=0.1) as db:  # type: ignore[assignment]
        await db.write(INSERT, ("locked",))
        hold = await db.begin()
        await hold.write("UPDATE item SET name = 'still'")
        results = await asyncio.gather(
            db.write(INSERT, ("a",)),
            db.write("UPDATE item SET name = 'never' WHERE id = 1"),
            db.write(INSERT, ("b",)),
            return_exceptions=True,
        )
        assert isinstance(results[1], aiomemdb.LockTimeout) and results[1].applied is False
        assert results[0] is results[2] is None
        await hold.commit()
        assert sorted(await names(db)) == ["a", "b", "still"]


async def test_a_batch_that_is_chosen_in_a_deadlock_is_run_again(db: PostgresDatabase) -> None:
    await db.write_many(INSERT, [("a",), ("b",)])
    hold = await db.begin()
    await hold.write("SET LOCAL deadlock_timeout = '60s'")  # the writer notices first, and so it is chosen
    await hold.write("UPDATE item SET size = 1 WHERE name = 'b'")
    batch = [
        db.submit("UPDATE item SET size = 2 WHERE name = 'a'"),
        db.submit("UPDATE item SET size = 2 WHERE name = 'b'"),
    ]
    await asyncio.to_thread(wait_until_it_waits, db._target)
    await hold.write("UPDATE item SET size = 1 WHERE name = 'a'")
    await hold.commit()
    await asyncio.gather(*batch)
    assert [row[0] for row in await db.read("SELECT size FROM item")] == [2, 2]
    assert db.statistics().write_errors == 0


async def test_a_changed_schema_is_no_error_of_a_prepared_statement(db: PostgresDatabase) -> None:
    for number in range(3):
        await db.read("SELECT * FROM item")
        await db.write_returning(f"{INSERT} RETURNING *", (str(number),))
    await db.write("ALTER TABLE item ADD more text DEFAULT 'm'")
    assert (await db.read("SELECT * FROM item"))[0]["more"] == "m"
    jobs = [db.write_returning(f"{INSERT} RETURNING *", (f"x{n}",)) for n in range(3)]
    assert [rows[0]["more"] for rows in await asyncio.gather(*jobs)] == ["m"] * 3
    async with db.transaction() as tx:
        for number in range(3):
            await tx.write_returning(f"{INSERT} RETURNING *", (f"y{number}",))
    await db.write("ALTER TABLE item DROP more")
    async with db.transaction() as tx:
        [row] = await tx.write_returning(f"{INSERT} RETURNING *", ("z",))
        assert "more" not in row.keys()  # noqa: SIM118  a row is a sequence of values
    assert await db.read_value("SELECT count(*) FROM item") == 10


async def test_a_caller_that_leaves_before_its_batch_is_taken_never_writes(db: PostgresDatabase) -> None:
    kept = db.submit(INSERT, ("kept",))
    left = db.submit(INSERT, ("left",))
    left.cancel()
    task = asyncio.ensure_future(db.write(INSERT, ("task",)))
    await asyncio.sleep(0)
    task.cancel()
    await kept
    await asyncio.gather(task, return_exceptions=True)
    await db.flush()
    assert (await names(db))[0] == "kept" and "left" not in await names(db)


async def test_a_cancelled_job_that_is_already_taken_runs_to_its_end(db: PostgresDatabase, url: str) -> None:
    task = asyncio.ensure_future(db.write("INSERT INTO item (name) SELECT 'slow' FROM pg_sleep(0.5)"))
    await until_it_sleeps(url)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await db.flush()
    assert await names(db) == ["slow"]


async def test_a_timeout_says_whether_the_job_had_begun(db: PostgresDatabase) -> None:
    slow = "INSERT INTO item (name) SELECT $1 FROM pg_sleep(0.3)"
    running = asyncio.ensure_future(db.write(slow, ("slow",), timeout=0.1))
    await asyncio.sleep(0.02)
    with pytest.raises(aiomemdb.WriteTimeout) as waited:
        await db.write(INSERT, ("never",), timeout=0.05)
    assert waited.value.applied is False and not waited.value.started
    with pytest.raises(aiomemdb.WriteTimeout) as ran:
        await running
    assert ran.value.applied is None and ran.value.started
    await db.flush()
    assert await names(db) == ["slow"]


async def test_there_is_room_for_so_many_jobs(url: str) -> None:
    execute(url, "CREATE TABLE item (id serial, name text)")
    async with aiomemdb.connect(url, max_pending=5) as db:
        futures = [db.submit(INSERT, (str(n),)) for n in range(5)]
        with pytest.raises(aiomemdb.QueueFull):
            db.submit(INSERT, ("6",))
        await asyncio.gather(*futures, db.write(INSERT, ("7",)))


async def test_close_drains_or_drops_what_waits(url: str) -> None:
    execute(url, "CREATE TABLE item (id serial, name text)")
    db = await aiomemdb.connect(url)
    await db.close(drain=True)
    for drain in (True, False):
        db = await aiomemdb.connect(url)
        running = db.submit("INSERT INTO item (name) SELECT 'running' FROM pg_sleep(0.1)")
        while not db.statistics().running:  # noqa: ASYNC110
            await asyncio.sleep(0)
        futures = [db.submit(INSERT, (str(n),)) for n in range(50)]
        await db.close(drain=drain)
        assert running.exception() is None
        errors = [future.exception() for future in futures]
        if drain:
            assert errors == [None] * 50
        else:
            assert all(isinstance(error, aiomemdb.DatabaseClosed) and error.applied is False for error in errors)
    assert execute(url, "SELECT count(*) FROM item") == [(52,)]


async def test_random_batches_are_as_if_each_job_had_been_alone(db: PostgresDatabase) -> None:
    """A model in Python: names are unique, sizes are not below 0."""
    randomness = random.Random(5)
    kept: dict[str, int] = {}
    for _ in range(12):
        jobs, expected = [], []
        for _ in range(randomness.randint(1, 60)):
            name, size = str(randomness.randint(0, 40)), randomness.choice([-1, *range(6)])
            kind = randomness.randint(0, 2)
            if kind == 0:
                jobs.append(db.write_count("INSERT INTO item (name, size) VALUES ($1, $2)", (name, size)))
                fails = name in kept or size < 0
                expected.append("error" if fails else 1)
                if not fails:
                    kept[name] = size
            elif kind == 1:
                jobs.append(db.write_count("UPDATE item SET size = $2 WHERE name = $1", (name, size)))
                fails = name in kept and size < 0
                expected.append("error" if fails else int(name in kept))
                if name in kept and size >= 0:
                    kept[name] = size
            else:
                jobs.append(db.write_count("DELETE FROM item WHERE size = $1", (size,)))
                gone = [name for name, has in kept.items() if has == size]
                expected.append(len(gone))
                for name in gone:
                    del kept[name]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        assert ["error" if isinstance(result, psycopg.Error) else result for result in results] == expected
        assert {row[0]: row[1] for row in await db.read("SELECT name, size FROM item")} == kept
