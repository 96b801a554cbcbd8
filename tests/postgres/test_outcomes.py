"""A connection that is lost at the worst moment: each caller hears what became of its job, and it is there once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress

import psycopg
import pytest

import aiomemdb
from aiomemdb import TransactionLost
from aiomemdb.observing import Observers
from aiomemdb.postgres.connecting import Connector
from aiomemdb.postgres.database import PostgresDatabase
from aiomemdb.postgres.driver import NOTHING
from aiomemdb.postgres.link import NOT_RUN
from aiomemdb.postgres.options import PostgresConfig
from aiomemdb.postgres.outcomes import BEGIN, COMMIT, Ledger, first_error, prepare_table
from aiomemdb.postgres.recorder import Recorder
from tests.postgres.proxy import Proxy
from tests.support.postgres import execute, no_connection_left

INSERT = "INSERT INTO item (name) VALUES ($1)"


def once(kind: bytes, word: bytes, after: int = 0) -> tuple[object, list[int]]:
    """Whether a message is the first one of its kind with a word in it; and a count of how often it was so."""
    seen = [0]

    def is_it(found: bytes, body: bytes) -> bool:
        if found == kind and word in body:
            seen[0] += 1
            return seen[0] == after + 1
        return False

    return is_it, seen


@pytest.fixture
def table(url: str) -> str:
    execute(url, "CREATE TABLE item (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, name text)")
    return url


def wait_until_it_waits(url: str) -> None:
    """Until the writer waits for a lock on the server."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE '%writer'"
    while not execute(url, waiting):
        pass


def names(url: str) -> list[str]:
    return [str(name) for (name,) in execute(url, "SELECT name FROM item ORDER BY id")]


async def opened(proxy: Proxy, **options: object) -> PostgresDatabase:
    db = aiomemdb.connect(f"{proxy.url}?sslmode=disable&gssencmode=disable", **options)  # type: ignore[arg-type]
    made: PostgresDatabase = await db  # type: ignore[assignment]
    return made


async def test_a_write_with_a_lost_answer_is_acknowledged_and_there_once(table: str) -> None:
    async with Proxy.before(table) as proxy, await opened(proxy) as db:
        proxy.cut_answer, _ = once(b"C", b"COMMIT")  # type: ignore[assignment]
        assert await db.write(f"{INSERT} RETURNING id", ("a",)) == 1
        assert names(table) == ["a"]
        statistics = db.statistics()
        assert (statistics.reconnects, statistics.outcomes_asked, statistics.outcomes_applied) == (1, 1, 1)


async def test_a_batch_with_a_lost_answer_is_acknowledged_with_each_jobs_own_result(table: str) -> None:
    async with Proxy.before(table) as proxy, await opened(proxy) as db:
        proxy.cut_answer, _ = once(b"C", b"COMMIT")  # type: ignore[assignment]
        results = await asyncio.gather(*(db.write(f"{INSERT} RETURNING id", (str(n),)) for n in range(50)))
        assert results == list(range(1, 51))
        assert names(table) == [str(n) for n in range(50)]


async def test_a_write_is_run_again_if_its_commit_never_came(table: str) -> None:
    async with Proxy.before(table) as proxy, await opened(proxy) as db:
        proxy.cut_question, _ = once(b"P", b"\0COMMIT\0")  # type: ignore[assignment]
        assert await db.write(f"{INSERT} RETURNING id", ("a",)) == 2  # the first number is gone with its transaction
        assert names(table) == ["a"]
        statistics = db.statistics()
        assert (statistics.reconnects, statistics.outcomes_asked, statistics.outcomes_applied) == (1, 1, 0)


async def test_a_write_that_loses_its_result_gets_an_error_that_says_it_was_applied(table: str) -> None:
    async with Proxy.before(table) as proxy, await opened(proxy) as db:
        proxy.cut_answer, _ = once(b"D", b"lost")  # type: ignore[assignment]
        plain = db.submit(INSERT, ("plain",))
        asked = asyncio.ensure_future(db.write_returning(f"{INSERT} RETURNING name, id", ("lost",)))
        await plain
        try:
            result = await asked
        except aiomemdb.ServerLost as error:
            assert error.applied is True
        else:  # the first time was not known to return rows: its COMMIT was apart, and it was run again
            assert result[0]["name"] == "lost"
        assert names(table) == ["plain", "lost"]
        proxy.cut_answer, _ = once(b"D", b"lost")  # type: ignore[assignment]
        with pytest.raises(aiomemdb.ServerLost) as caught:
            await db.write_returning(f"{INSERT} RETURNING name, id", ("lost",))
        assert caught.value.applied is True
        assert names(table) == ["plain", "lost", "lost"]


async def test_a_transaction_with_a_lost_answer_ends_well(table: str) -> None:
    async with Proxy.before(table) as proxy, await opened(proxy) as db:
        async with db.transaction() as tx:
            await tx.write(INSERT, ("a",))
            proxy.cut_answer, seen = once(b"C", b"COMMIT")  # type: ignore[assignment]
        assert seen == [2]  # the second one is that of the transaction that asked
        assert names(table) == ["a"]
        async with db.transaction() as tx:
            await tx.write(INSERT, ("b",))
        assert names(table) == ["a", "b"]


async def test_a_transaction_is_lost_and_not_applied_if_its_commit_never_came(table: str) -> None:
    async with Proxy.before(table) as proxy, await opened(proxy) as db:
        with pytest.raises(aiomemdb.TransactionLost) as caught:
            async with db.transaction() as tx:
                await tx.write(INSERT, ("a",))
                proxy.cut_question, _ = once(b"P", b"\0COMMIT\0")  # type: ignore[assignment]
        assert caught.value.applied is False
        assert names(table) == []


async def test_a_transaction_that_loses_its_connection_in_a_step_is_lost_and_the_next_one_runs(table: str) -> None:
    async with Proxy.before(table) as proxy, await opened(proxy) as db:
        with pytest.raises(aiomemdb.TransactionLost):
            async with db.transaction() as tx:
                await tx.write(INSERT, ("a",))
                proxy.cut_all()
                with pytest.raises(aiomemdb.TransactionLost):
                    await tx.write(INSERT, ("b",))
        async with db.transaction() as tx:
            await tx.write(INSERT, ("c",))
        assert names(table) == ["c"]


async def test_reads_go_on_by_another_connection(table: str) -> None:
    async with Proxy.before(table) as proxy, await opened(proxy) as db:
        await db.write(INSERT, ("a",))
        for _ in range(3):
            reading = asyncio.ensure_future(db.read_value("SELECT count(*) FROM item, pg_sleep(0.05)"))
            await asyncio.sleep(0)
            proxy.cut_all()
            assert await reading == 1


async def test_the_outcome_is_unknown_only_where_no_server_could_be_asked(table: str) -> None:
    async with Proxy.before(table) as proxy:
        db = await opened(proxy, reconnect=0.3)

        def cut(kind: bytes, body: bytes) -> bool:
            if kind != b"C" or b"COMMIT" not in body:
                return False
            proxy.refuses, proxy.cut_answer = True, lambda kind, body: False
            return True

        proxy.cut_answer = cut
        asked = db.submit(INSERT, ("asked",))
        with pytest.raises(aiomemdb.CommitOutcomeUnknown) as unknown:
            await asked
        assert unknown.value.applied is None
        with pytest.raises(aiomemdb.ServerLost) as lost:
            await db.write(INSERT, ("waited",))
        assert lost.value.applied is False
        proxy.refuses = False
        await db.write(INSERT, ("later",))
        assert names(table) == ["asked", "later"]
        await db.close()


async def without_server(proxy: Proxy, db: PostgresDatabase) -> None:
    """Until the writer has noticed that there is none."""
    proxy.refuses = True
    proxy.cut_all()
    assert db._assembly is not None and db._assembly.writer is not None
    while db._assembly.writer._link.lost is None:  # noqa: ASYNC110  it is told nothing
        await asyncio.sleep(0.001)


async def test_what_waits_while_there_is_no_server_runs_when_there_is_one(table: str) -> None:
    async with Proxy.before(table) as proxy, await opened(proxy) as db:
        await without_server(proxy, db)
        writes = [db.submit(INSERT, (str(n),)) for n in range(20)]
        reading = asyncio.ensure_future(db.read_value("SELECT 1"))
        with pytest.raises(aiomemdb.WriteTimeout) as caught:
            await db.write(INSERT, ("never",), timeout=0.1)
        assert caught.value.applied is False
        with pytest.raises(aiomemdb.ReadTimeout):
            await db.read("SELECT 1", timeout=0.05)
        proxy.refuses = False
        await asyncio.gather(*writes)
        assert await reading == 1
        assert names(table) == [str(n) for n in range(20)]


async def test_close_ends_in_time_while_there_is_no_server(table: str) -> None:
    async with Proxy.before(table) as proxy:
        db = await opened(proxy)
        await without_server(proxy, db)
        writes = [db.submit(INSERT, (str(n),)) for n in range(20)]
        await db.close(timeout=0.5)
        errors = [writing.exception() for writing in writes]
        assert all(isinstance(error, aiomemdb.DatabaseClosed) and error.applied is False for error in errors)
        assert names(table) == []


async def test_a_process_that_still_holds_the_row_is_ended_and_nothing_is_written_twice(table: str) -> None:
    """The client is gone, and the server has not noticed: it waits for a lock in the midst of the batch."""
    async with Proxy.before(table) as proxy, await opened(proxy) as db:
        with psycopg.connect(table) as blocker:
            blocker.execute("LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
            writing = db.submit(INSERT, ("a",))
            await asyncio.to_thread(wait_until_it_waits, table)
            [(old,)] = execute(table, "SELECT pid FROM pg_stat_activity WHERE application_name LIKE '%writer'")
            proxy.cut_all()
            while db.statistics().reconnects == 0:  # noqa: ASYNC110  while the lock is held
                await asyncio.sleep(0.01)
            assert execute(table, "SELECT 1 FROM pg_stat_activity WHERE pid = $1".replace("$1", str(old))) == []
            blocker.rollback()
        await writing
        assert names(table) == ["a"]
    no_connection_left(table)


async def test_what_an_earlier_connection_sends_late_can_not_come_through_any_more(table: str) -> None:
    """Its bytes were on their way while the next connection asked, and was told that nothing was applied."""
    connector = Connector(table, PostgresConfig(), asyncio.get_running_loop(), primary=True)
    old, new = await connector.open("writer", writes=True), await connector.open("writer", writes=True)
    ledger = Ledger(await prepare_table(old), Recorder(Observers()))
    await ledger.adopt(old, is_direct=True)
    number = ledger.next()
    assert await ledger.adopt(new, is_direct=True) is False
    insert = (b"INSERT INTO item (name) VALUES ('late')", NOTHING)
    answers = await old.ask([BEGIN, number, insert, COMMIT])
    assert isinstance(answers[1], psycopg.errors.DivisionByZero)
    assert answers[2] is answers[3] is NOT_RUN
    assert first_error(await new.ask([BEGIN, ledger.next(), insert, COMMIT])) is None
    assert names(table) == ["late"]
    for link in (old, new):
        link.close()
    await connector.close()


async def test_a_number_that_the_server_has_lost_is_reported(table: str, caplog: pytest.LogCaptureFixture) -> None:
    """As after the promotion of a standby that was behind."""
    async with Proxy.before(table) as proxy, await opened(proxy) as db:
        await db.write(INSERT, ("a",))
        execute(table, "UPDATE aiomemdb_writer SET number = number - 1")
        proxy.cut_all()
        await db.write(INSERT, ("b",))
        assert db.statistics().commits_lost == 1
        assert "has lost what it had acknowledged: 1 transactions" in caplog.text


@pytest.mark.parametrize("side", ["server", "client"])
async def test_wherever_the_connection_is_cut_each_name_is_there_as_its_caller_has_heard(table: str, side: str) -> None:
    """At each message in turn, of whichever connection it is: the answers are lost, or the questions."""
    async with Proxy.before(table) as proxy, await opened(proxy) as db:
        heard: dict[str, bool | None] = {}

        async def in_block(name: str) -> None:
            async with db.transaction() as tx:
                await tx.write(INSERT, (name,))
                assert await tx.read_value("SELECT count(*) FROM item WHERE name = $1", (name,)) == 1

        async def run(name: str, work: Awaitable[object]) -> None:
            try:
                await work
                heard[name] = True
            except aiomemdb.AiomemdbError as error:
                heard[name] = error.applied

        for place in range(70):
            left = [place]

            def is_cut(kind: bytes, body: bytes, left: list[int] = left) -> bool:
                left[0] -= 1
                return left[0] == -1

            if side == "server":
                proxy.cut_answer = is_cut
            else:
                proxy.cut_question = is_cut
            await asyncio.gather(
                *(run(f"{place}.{n}", db.write(f"{INSERT} RETURNING id", (f"{place}.{n}",))) for n in range(3)),
                run(f"{place}.count", db.write_count(INSERT, (f"{place}.count",))),
                run(f"{place}.block", in_block(f"{place}.block")),
                db.read_value("SELECT 1"),
            )
        found = names(table)
        assert len(found) == len(set(found)), "written twice"
        for name, applied in heard.items():
            assert applied is not None, f"{name}: the outcome was not found out"
            assert (name in found) is applied, name
        assert db.statistics().reconnects > 5
    no_connection_left(table)


@pytest.mark.parametrize("cut_when", ["idle", "open"])
async def test_a_transaction_that_the_server_has_lost_is_reported(table: str, cut_when: str) -> None:
    async with Proxy.before(table) as proxy, await opened(proxy) as db:
        async with db.transaction() as tx:
            await tx.write(INSERT, ("a",))
        execute(table, "UPDATE aiomemdb_writer SET number = number - 1 WHERE number > 0")
        if cut_when == "idle":
            proxy.cut_all()
        else:
            with pytest.raises(TransactionLost):
                async with db.transaction() as tx:
                    await tx.write(INSERT, ("b",))
                    proxy.cut_all()
                    await tx.write(INSERT, ("c",))
        with suppress(TransactionLost):  # the first may be the one to find out that the connection is gone
            async with db.transaction() as tx:
                await tx.write(INSERT, ("d",))
        async with db.transaction() as tx:
            await tx.write(INSERT, ("e",))
        assert db.statistics().commits_lost == 1
        assert execute(table, "SELECT count(*) FROM aiomemdb_writer WHERE number > 0") == [(1,)]
