"""Transactions on connections of their own: steps, ends, limits, conflicts, and callers that leave."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import psycopg
import pytest

import aiomemdb
from aiomemdb.postgres.database import PostgresDatabase
from tests.support.postgres import execute, no_connection_left, until_it_sleeps

INSERT = "INSERT INTO item (name) VALUES ($1)"


async def names(db: PostgresDatabase) -> list[str]:
    return [row[0] for row in await db.read("SELECT name FROM item ORDER BY id")]


async def test_a_block_commits_at_its_end_and_rolls_back_by_an_error(db: PostgresDatabase) -> None:
    async with db.transaction() as tx:
        assert await tx.write(f"{INSERT} RETURNING id", ("a",)) == 1
        assert await tx.read_value("SELECT count(*) FROM item") == 1
        assert await db.read_value("SELECT count(*) FROM item") == 0
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            await tx.write(INSERT, ("b",))
            raise ZeroDivisionError
    assert await names(db) == ["a"]
    with pytest.raises(aiomemdb.TransactionEnded):
        await tx.write(INSERT, ("c",))
    with pytest.raises(aiomemdb.TransactionEnded):
        await tx.read("SELECT 1")


async def test_other_jobs_are_written_while_a_transaction_is_open(db: PostgresDatabase) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, ("mine",))
        await asyncio.create_task(db.write(INSERT, ("another's",)), context=_new_context())
        assert await db.read_value("SELECT name FROM item") == "another's"


def _new_context() -> object:
    import contextvars

    return contextvars.Context()


async def test_a_step_that_fails_is_taken_back_alone(db: PostgresDatabase) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, ("a",))
        with pytest.raises(psycopg.errors.UniqueViolation) as caught:
            await tx.write_many(INSERT, [("b",), ("a",)])
        assert "SQL: " in caught.value.__notes__[-1] or any("SQL: " in note for note in caught.value.__notes__)
        with pytest.raises(psycopg.errors.UndefinedTable):
            await tx.read("SELECT * FROM nowhere")
        with pytest.raises(aiomemdb.NotAQuery):
            await tx.write_returning(INSERT, ("c",))
        await tx.write(INSERT, ("d",))
    assert await names(db) == ["a", "d"]


async def test_nested_ones_are_savepoints(db: PostgresDatabase) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, ("a",))
        async with tx.transaction() as nested:
            await nested.write(INSERT, ("b",))
            with pytest.raises(aiomemdb.ReentrancyError):
                await tx.write(INSERT, ("x",))
            with pytest.raises(KeyError):
                async with nested.transaction() as deeper:
                    await deeper.write(INSERT, ("c",))
                    raise KeyError
        by_hand = await tx.begin()
        await by_hand.write(INSERT, ("d",))
        await by_hand.rollback()
        unfinished = await tx.begin()
        await unfinished.write(INSERT, ("e",))
    assert await names(db) == ["a", "b"]


async def test_any_task_can_end_a_transaction_by_hand(db: PostgresDatabase) -> None:
    hold = await db.begin()
    assert hold.alive and hold.error is None
    await asyncio.create_task(hold.write(INSERT, ("a",)))
    await asyncio.create_task(hold.commit())
    assert not hold.alive
    with pytest.raises(aiomemdb.TransactionEnded):
        await hold.commit()
    await hold.rollback()
    assert await names(db) == ["a"]


async def test_a_transaction_that_is_dropped_is_rolled_back_with_a_warning(db: PostgresDatabase) -> None:
    hold = await db.begin()
    await hold.write(INSERT, ("a",))
    with pytest.warns(ResourceWarning, match="neither committed nor rolled back"):
        del hold
        gc.collect()
    while db.statistics().transactions:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert await names(db) == []


async def test_a_write_on_the_database_inside_ones_own_transaction_is_an_error_at_once(db: PostgresDatabase) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, ("a",))
        with pytest.raises(aiomemdb.ReentrancyError):
            await db.write(INSERT, ("b",))
        with pytest.raises(aiomemdb.ReentrancyError):
            db.check_writable()
        with pytest.raises(aiomemdb.ReentrancyError):
            async with db.transaction():
                pass
        with pytest.raises(aiomemdb.ReentrancyError):
            await db.close()
    await db.write(INSERT, ("b",))
    assert await names(db) == ["a", "b"]


async def test_a_transaction_held_too_long_is_rolled_back_and_its_holder_named(url: str) -> None:
    execute(url, "CREATE TABLE item (id serial, name text)")
    db: PostgresDatabase
    async with aiomemdb.connect(url, max_hold=0.2) as db:  # type: ignore[assignment]
        task = asyncio.current_task()
        assert task is not None
        with pytest.raises(aiomemdb.TransactionTimeout, match=task.get_name()) as caught:
            async with db.transaction() as tx:
                await tx.write(INSERT, ("a",))
                await tx.read("SELECT pg_sleep(60)")
        assert caught.value.applied is False
        with pytest.raises(aiomemdb.TransactionTimeout):
            async with db.transaction() as tx:
                await tx.write(INSERT, ("a",))
                while db.statistics().transactions:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        assert await names(db) == []


async def test_the_server_too_ends_a_transaction_after_its_client_is_gone(url: str) -> None:
    async with aiomemdb.connect(url, max_hold=7) as db, db.transaction() as tx:
        assert await tx.read_value("SHOW idle_in_transaction_session_timeout") == "7s"


async def test_so_many_at_once_and_waiting_for_one_counts_in_the_timeout(url: str) -> None:
    execute(url, "CREATE TABLE item (id serial, name text)")
    db: PostgresDatabase
    async with aiomemdb.connect(url, transactions=2) as db:  # type: ignore[assignment]
        first, second = await db.begin(), await db.begin()
        with pytest.raises(aiomemdb.WriteTimeout) as caught:
            async with db.transaction(timeout=0.05):
                pass
        assert caught.value.applied is False and not caught.value.started
        third = asyncio.ensure_future(db.begin())
        await asyncio.sleep(0)
        assert db.statistics().transactions == 2 and db.statistics().transactions_pending == 1
        await first.write(INSERT, ("a",))
        await first.commit()
        hold = await third
        await hold.write(INSERT, ("b",))
        await hold.commit()
        await second.rollback()
        assert await names(db) == ["a", "b"]


async def test_a_caller_that_leaves_while_it_waits_holds_nothing(url: str) -> None:
    async with aiomemdb.connect(url, transactions=1) as db:
        hold = await db.begin()
        waiting = [asyncio.ensure_future(db.begin()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        ending = asyncio.ensure_future(hold.rollback())
        while db.statistics().transactions_pending > 1:  # noqa: ASYNC110
            await asyncio.sleep(0)
        waiting[1].cancel()  # it was handed the connection in this very turn
        _, second, _ = await asyncio.gather(*waiting[:2], ending, return_exceptions=True)
        assert isinstance(second, asyncio.CancelledError)
        third = await waiting[2]
        await third.rollback()
        async with db.transaction(timeout=30) as tx:
            assert await tx.read_value("SELECT 1") == 1


async def test_a_serialisation_failure_is_a_conflict_and_not_applied(db: PostgresDatabase) -> None:
    await db.write(INSERT, ("a",))
    with pytest.raises(aiomemdb.TransactionConflict) as caught:
        async with db.transaction(isolation="serializable") as tx:
            assert await tx.read_value("SELECT count(*) FROM item") == 1
            hold = await asyncio.create_task(_begin_elsewhere(db))
            assert await hold.read_value("SELECT count(*) FROM item") == 1
            await hold.write(INSERT, ("b",))
            await hold.commit()
            await tx.write(INSERT, ("c",))
    assert caught.value.applied is False
    assert await names(db) == ["a", "b"]


async def _begin_elsewhere(db: PostgresDatabase) -> aiomemdb.PostgresHold:
    from aiomemdb.postgres.hold import held_holds

    held_holds.set(())
    return await db.begin(isolation="serializable")


async def test_repeatable_read_sees_one_state_and_an_update_of_what_changed_is_a_conflict(db: PostgresDatabase) -> None:
    await db.write(INSERT, ("a",))
    hold = await db.begin(isolation="repeatable read")
    assert await hold.read_value("SELECT name FROM item") == "a"
    await db.write("UPDATE item SET name = 'b'")
    assert await hold.read_value("SELECT name FROM item") == "a"
    with pytest.raises(aiomemdb.TransactionConflict):
        await hold.write("UPDATE item SET name = 'c'")
    with pytest.raises(aiomemdb.TransactionLost):
        await hold.read("SELECT 1")
    with pytest.raises(aiomemdb.TransactionLost):
        await hold.commit()
    await hold.rollback()
    assert await names(db) == ["b"]


async def test_an_isolation_that_is_none_is_refused(db: PostgresDatabase) -> None:
    with pytest.raises(ValueError, match="isolation='dirty'"):
        db.transaction(isolation="dirty")  # type: ignore[arg-type]


async def test_one_of_two_transactions_in_a_deadlock_gets_a_conflict(db: PostgresDatabase) -> None:
    await db.write_many(INSERT, [("a",), ("b",)])
    one, two = await db.begin(), await db.begin()
    await one.write("UPDATE item SET size = 1 WHERE name = 'a'")
    await two.write("UPDATE item SET size = 2 WHERE name = 'b'")
    results = await asyncio.gather(
        one.write("UPDATE item SET size = 1 WHERE name = 'b'"),
        two.write("UPDATE item SET size = 2 WHERE name = 'a'"),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["NoneType", "TransactionConflict"]
    for hold, result in zip((one, two), results, strict=True):
        await (hold.rollback() if result else hold.commit())
    assert len({row[0] for row in await db.read("SELECT size FROM item")}) == 1


async def test_a_lock_that_does_not_come_is_a_lock_timeout_of_the_step_alone(url: str) -> None:
    execute(url, "CREATE TABLE item (id serial, name text)")
    db: PostgresDatabase
    async with aiomemdb.connect(url, lock_timeout=0.1) as db:  # type: ignore[assignment]
        await db.write(INSERT, ("a",))
        hold = await db.begin()
        await hold.write("UPDATE item SET name = 'b'")
        async with db.transaction() as tx:
            await tx.write(INSERT, ("c",))
            with pytest.raises(aiomemdb.LockTimeout) as caught:
                await tx.write("UPDATE item SET name = 'd'")
            assert caught.value.applied is False
        await hold.commit()
        with pytest.raises(psycopg.errors.LockNotAvailable):
            hold = await db.begin()
            await hold.write("LOCK TABLE item")
            await db.write("LOCK TABLE item NOWAIT")
        await hold.rollback()
        assert sorted(await names(db)) == ["b", "c"]


async def test_a_step_is_stopped_on_the_server_and_rolled_back_if_its_caller_leaves(
    db: PostgresDatabase, url: str
) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, ("a",))
        step = asyncio.ensure_future(tx.write_any("INSERT INTO item (name) SELECT 'b' FROM pg_sleep(60)"))
        never = asyncio.ensure_future(tx.write(INSERT, ("c",)))
        await until_it_sleeps(url)
        never.cancel()
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
        await tx.write(INSERT, ("d",))
    assert await names(db) == ["a", "d"]


async def test_a_step_that_takes_too_long_ends_the_transaction(db: PostgresDatabase) -> None:
    with pytest.raises(aiomemdb.WriteTimeout) as caught:
        async with db.transaction() as tx:
            await tx.write(INSERT, ("a",))
            await tx.write_any("SELECT pg_sleep(60)", timeout=0.05)
    assert caught.value.started and caught.value.applied is False
    async with db.transaction() as tx:
        with pytest.raises(aiomemdb.ReadTimeout):
            await tx.read("SELECT pg_sleep(60)", timeout=0.05)
        await tx.write(INSERT, ("b",))
    assert await names(db) == ["b"]


async def test_a_block_that_is_cancelled_rolls_back_and_a_commit_runs_to_its_end(db: PostgresDatabase) -> None:
    entered = asyncio.Event()

    async def forever() -> None:
        async with db.transaction() as tx:
            await tx.write(INSERT, ("a",))
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(forever())
    await entered.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await names(db) == []
    hold = await db.begin()
    await hold.write(INSERT, ("b",))
    commit = asyncio.ensure_future(hold.commit())
    await asyncio.sleep(0)
    commit.cancel()
    await asyncio.gather(commit, return_exceptions=True)
    while db.statistics().transactions:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert await names(db) == ["b"]


async def test_a_deferred_constraint_is_judged_by_the_commit(db: PostgresDatabase) -> None:
    await db.write_script(
        "CREATE TABLE child (item bigint REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED, name text)"
    )
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        async with db.transaction() as tx:
            await tx.write("INSERT INTO child VALUES (99, 'x')")
    async with db.transaction() as tx:
        await tx.write("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            await tx.write("INSERT INTO child VALUES (99, 'x')")
    assert await db.read_value("SELECT count(*) FROM child") == 0


async def test_several_steps_in_one_round_trip_are_all_or_nothing(db: PostgresDatabase) -> None:
    async with db.transaction() as tx:
        first, second = await tx._steps([(f"{INSERT} RETURNING id", ("a",)), ("SELECT count(*) AS n FROM item", ())])
        assert (first.rowid, second.rows[0]["n"]) == (1, 1)
        with pytest.raises(psycopg.errors.UniqueViolation):
            await tx._steps([(INSERT, ("b",)), (INSERT, ("a",))])
    assert await names(db) == ["a"]


async def test_close_rolls_back_what_is_not_ended_in_time(url: str) -> None:
    execute(url, "CREATE TABLE item (id serial, name text)")
    db = await aiomemdb.connect(url)
    hold = await db.begin()
    await hold.write(INSERT, ("a",))
    await db.close(timeout=0.3)
    assert isinstance(hold.error, aiomemdb.DatabaseClosed) and hold.error.applied is False
    with pytest.raises(aiomemdb.DatabaseClosed):
        await hold.commit()
    assert execute(url, "SELECT count(*) FROM item") == [(0,)]
    no_connection_left(url)


@pytest.fixture(autouse=True)
async def _is_gone(url: str) -> AsyncIterator[None]:
    yield
    no_connection_left(url)
