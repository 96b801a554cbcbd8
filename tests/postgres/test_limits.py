"""What administrators set, what other programs do, and what a process does to itself."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import psycopg
import pytest

import aiomemdb
import aiomemdb.blocking
from aiomemdb.postgres.database import PostgresDatabase
from aiomemdb.postgres.driver import NOTHING
from aiomemdb.postgres.link import Link
from aiomemdb.postgres.outcomes import Ledger
from tests.support.postgres import Server, execute, no_connection_left, until_it_sleeps

INSERT = "INSERT INTO item (name) VALUES ($1)"


@pytest.fixture
def table(url: str) -> str:
    execute(url, "CREATE TABLE item (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, name text)")
    return url


def names(url: str) -> list[str]:
    return [str(name) for (name,) in execute(url, "SELECT name FROM item ORDER BY id")]


def option(url: str, setting: str) -> str:
    return f"{url}?options=-c%20{setting.replace('=', '%3D')}"


async def test_the_administrators_statement_timeout_is_an_error_of_the_job_alone(table: str) -> None:
    async with aiomemdb.connect(option(table, "statement_timeout=200")) as db:
        results = await asyncio.gather(
            db.write(INSERT, ("a",)),
            db.write("INSERT INTO item (name) SELECT 'slow' FROM pg_sleep(60)"),
            db.write(INSERT, ("b",)),
            return_exceptions=True,
        )
        assert [type(result).__name__ for result in results] == ["NoneType", "QueryCanceled", "NoneType"]
        with pytest.raises(psycopg.errors.QueryCanceled):
            await db.read("SELECT pg_sleep(60)")
        async with db.transaction() as tx:
            with pytest.raises(psycopg.errors.QueryCanceled):
                await tx.read("SELECT pg_sleep(60)")
            await tx.write(INSERT, ("c",))
    assert names(table) == ["a", "b", "c"]


async def test_a_transaction_that_the_server_ends_for_idleness_is_lost_and_not_applied(table: str) -> None:
    async with aiomemdb.connect(table) as db:
        hold = await db.begin()
        await hold.write(INSERT, ("a",))
        await hold.write("SET LOCAL idle_in_transaction_session_timeout = '50ms'")
        await asyncio.sleep(0.3)
        with pytest.raises(aiomemdb.TransactionLost) as caught:
            await hold.commit()
        assert caught.value.applied is False
        await db.write(INSERT, ("b",))
        async with db.transaction() as tx:
            await tx.write(INSERT, ("c",))
    assert names(table) == ["b", "c"]


async def test_a_session_that_the_server_ends_for_idleness_is_made_anew(table: str) -> None:
    async with aiomemdb.connect(option(table, "idle_session_timeout=50")) as db:
        for number in range(3):
            await asyncio.gather(db.write(INSERT, (str(number),)), db.read("SELECT 1"))
            async with db.transaction() as tx:
                await tx.write(INSERT, (f"t{number}",))
            await asyncio.sleep(0.2)
    assert names(table) == ["0", "t0", "1", "t1", "2", "t2"]


@pytest.fixture(scope="module")
def small_server() -> Iterator[Server]:
    with Server.started("fsync=off", "max_connections=8", "superuser_reserved_connections=1") as server:
        yield server


async def test_all_work_is_done_where_the_server_has_too_few_connections(small_server: Server) -> None:
    url = small_server.create()
    execute(url, "CREATE TABLE item (id serial, name text)")
    execute(url, "CREATE ROLE plain LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO plain")
    execute(url, "GRANT ALL ON SCHEMA public TO plain; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO plain")
    url = url.replace("tester@", "plain@")
    async with aiomemdb.connect(url, readers=8, transactions=8) as db:

        async def work(number: int) -> None:
            async with db.transaction() as tx:
                await tx.write(INSERT, (f"t{number}",))
            await db.write(INSERT, (str(number),))
            async with db.snapshot() as snap:
                await snap.read("SELECT 1")
            await db.read("SELECT pg_sleep(0.01)")

        await asyncio.gather(*(work(number) for number in range(30)))
        assert await db.read_value("SELECT count(*) FROM item") == 60


async def test_a_server_that_is_read_only_is_no_place_to_write(small_server: Server) -> None:
    url = small_server.create()
    execute(url, "CREATE TABLE item (id serial, name text)")
    with small_server.replica() as standby:
        other = standby.url.replace("/postgres", "/" + url.rsplit("/", 1)[1])
        with pytest.raises(psycopg.OperationalError, match="read-only"):
            await aiomemdb.connect(other)
        async with aiomemdb.connect(other, read_only=True) as db:
            assert await db.read("SELECT * FROM item") == []
        hosts = f"127.0.0.1:{standby.port},127.0.0.1:{small_server.port}"
        async with aiomemdb.connect(f"postgresql://tester@{hosts}/{url.rsplit('/', 1)[1]}") as db:
            await db.write(INSERT, ("a",))
        # A database that becomes read-only, and writable again, is waited for.
        name = url.rsplit("/", 1)[1]
        async with aiomemdb.connect(url) as db:
            execute(url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
            execute(small_server.url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", name)
            writing = asyncio.ensure_future(db.write(INSERT, ("b",)))
            await asyncio.sleep(0.2)
            assert not writing.done()
            execute(small_server.url, f"ALTER DATABASE {name} SET default_transaction_read_only = off")
            await writing
    assert names(url) == ["a", "b"]


async def test_behind_a_pooler_nothing_is_prepared_and_nothing_is_set_on_a_session(table: str) -> None:
    async with aiomemdb.connect(table, statement_cache=0, lock_timeout=7) as db:
        for _ in range(3):
            await db.write(INSERT, ("a",))
            assert await db.read_value("SELECT count(*) FROM pg_prepared_statements") == 0
        assert await db.read_value("SHOW lock_timeout") == "7s"
        [row] = await db.write_returning(
            "INSERT INTO item (name) SELECT current_setting('lock_timeout') || count(*)::text "
            "FROM pg_prepared_statements RETURNING name"
        )
        assert row["name"] == "7s0"
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            await db.read("INSERT INTO item (name) VALUES ('x') RETURNING id")
        async with db.transaction() as tx:
            assert await tx.read_value("SHOW lock_timeout") == "7s"
        async with db.snapshot() as snap:
            assert await snap.read_value("SHOW lock_timeout") == "7s"
        assert len([row async for row in db.read_stream("SELECT * FROM item", chunk=2)]) == 4
        settings = "SELECT setting FROM pg_settings WHERE name = 'default_transaction_read_only'"
        assert await db.read_value(settings) == "off"


async def test_close_stops_on_the_server_what_does_not_end_in_time(table: str) -> None:
    db = await aiomemdb.connect(table)
    writing = db.submit("INSERT INTO item (name) SELECT 'slow' FROM pg_sleep(60)")
    reading = asyncio.ensure_future(db.read("SELECT pg_sleep(60)"))
    await until_it_sleeps(table, 2)
    waiting = db.submit(INSERT, ("waits",))
    await db.close(timeout=0.5)
    errors = writing.exception(), waiting.exception()
    assert [(type(error), getattr(error, "applied", 0)) for error in errors] == [
        (aiomemdb.DatabaseClosed, None),
        (aiomemdb.DatabaseClosed, False),
    ]
    with pytest.raises(aiomemdb.AiomemdbError):
        await reading
    no_connection_left(table)
    assert names(table) == []


def test_the_verbs_without_await_run_on_postgresql_too(table: str) -> None:
    with aiomemdb.blocking.connect(table) as db:
        assert db.write(f"{INSERT} RETURNING id", ("a",)) == 1
        with db.transaction() as tx:
            tx.write(INSERT, ("b",))
            assert tx.read_value("SELECT count(*) FROM item") == 2
        assert [row["name"] for row in db.read("SELECT name FROM item ORDER BY id")] == ["a", "b"]
        assert [row[0] for row in db.read_stream("SELECT id FROM item ORDER BY id")] == [1, 2]
    no_connection_left(table)


async def test_use_in_a_forked_child_is_an_error_and_the_parent_goes_on(table: str) -> None:
    db: PostgresDatabase
    async with aiomemdb.connect(table) as db:  # type: ignore[assignment]
        await db.write(INSERT, ("before",))
        hold = await db.begin()
        await hold.write(INSERT, ("held",))
        read_end, write_end = os.pipe()
        pid = os.fork()
        if pid == 0:  # no test goes on here, whatever is raised
            try:
                db.submit(INSERT, ("child",))
            except aiomemdb.ForkedError:
                os.write(write_end, b"forked")
            except BaseException as error:
                os.write(write_end, repr(error).encode())
            finally:
                del hold, db
                gc.collect()
                os._exit(0)
        os.close(write_end)
        os.waitpid(pid, 0)
        assert os.read(read_end, 1000) == b"forked"
        os.close(read_end)
        await hold.commit()
        await db.write(INSERT, ("after",))
        assert await db.read_value("SELECT count(*) FROM item") == 3
        assert db.statistics().reconnects == 0


async def test_use_on_another_loop_or_thread_is_an_error(table: str) -> None:
    async with aiomemdb.connect(table) as db:

        def elsewhere() -> None:
            asyncio.run(db.write(INSERT, ("a",)))

        with pytest.raises(aiomemdb.WrongLoop):
            await asyncio.to_thread(elsewhere)
        with pytest.raises(aiomemdb.WrongLoop):
            await asyncio.to_thread(db.submit, INSERT, ("a",))
    assert names(table) == []


def run(code: str, url: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(code), url], capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("runner", ["asyncio.run", "aiomemdb.run"])
def test_a_program_that_ends_without_close_loses_nothing_and_does_not_hang(table: str, runner: str) -> None:
    ended = run(
        f"""
        import asyncio, sys, aiomemdb
        async def main():
            db = await aiomemdb.connect(sys.argv[1])
            await db.write("INSERT INTO item (name) VALUES ('acknowledged')")
            for number in range(100):
                db.submit("INSERT INTO item (name) VALUES ($1)", (str(number),))
            hold = await db.begin()
            await hold.write("INSERT INTO item (name) VALUES ('held')")
        {runner}(main())
        """,
        table,
        "-W",
        "default::ResourceWarning",
    )
    assert ended.returncode == 0, ended.stderr
    assert "was not closed" in ended.stderr and "Traceback" not in ended.stderr, ended.stderr
    assert names(table) == ["acknowledged", *map(str, range(100))]
    no_connection_left(table)


async def test_a_handle_that_is_collected_ends_its_connections(table: str) -> None:
    db = await aiomemdb.connect(table)
    await db.write(INSERT, ("a",))
    with pytest.warns(ResourceWarning, match="was not closed"):
        del db
        gc.collect()
        await asyncio.sleep(0)
    no_connection_left(table)


def test_without_the_driver_the_package_works_and_a_url_says_what_to_install() -> None:
    ended = run(
        """
        import sys
        sys.modules["psycopg"] = None
        import aiomemdb
        aiomemdb.connect("a.db")
        try:
            aiomemdb.connect(sys.argv[1])
        except ImportError as error:
            print(error)
        """,
        "postgresql://host/db",
    )
    assert ended.returncode == 0, ended.stderr
    assert "pip install 'aiomemdb[postgres]'" in ended.stdout


async def test_two_that_open_a_new_database_at_once_both_do(url: str) -> None:
    async def use() -> None:
        async with aiomemdb.connect(url) as db:
            await db.read("SELECT 1")

    await asyncio.gather(*(use() for _ in range(8)))
    assert execute(url, "SELECT count(*) FROM aiomemdb_writer") == [(0,)]


async def test_the_table_of_outcomes_is_used_where_it_is_found(table: str) -> None:
    """Behind a schema that was made later."""
    async with aiomemdb.connect(table) as db:
        await db.write(INSERT, ("a",))
    execute(table, "CREATE SCHEMA app")
    async with aiomemdb.connect(option(table, "search_path=app,public")) as db:
        await db.write(INSERT, ("b",))
        assert await db.read_value("SELECT count(*) FROM public.aiomemdb_writer") > 0
    async with aiomemdb.connect(option(table, "search_path=app")) as db:
        await db.write("INSERT INTO public.item (name) VALUES ($1)", ("c",))
        assert await db.read_value("SELECT count(*) FROM app.aiomemdb_writer") > 0
    assert names(table) == ["a", "b", "c"]


async def test_rows_of_writers_long_gone_are_deleted(table: str) -> None:
    async with aiomemdb.connect(table):
        pass
    execute(
        table,
        "INSERT INTO aiomemdb_writer (id, epoch, number, seen) VALUES ('old', 1, 1, now() - interval '31 days'), "
        "('new', 1, 1, now())",
    )
    async with aiomemdb.connect(table):
        pass
    assert execute(table, "SELECT id FROM aiomemdb_writer") == [("new",)]


async def test_a_role_that_may_not_create_the_table_hears_how_it_is_made(small_server: Server) -> None:
    url = small_server.create()
    execute(url, "CREATE ROLE reader LOGIN")
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
        await aiomemdb.connect(url.replace("tester@", "reader@"))
    assert "CREATE TABLE IF NOT EXISTS public.aiomemdb_writer" in caught.value.__notes__[0]


@pytest.fixture
def small_disk(small_server: Server) -> Iterator[str]:
    """A folder of the server's user on a file system of 4 MB."""
    if os.getuid():
        pytest.skip("only root makes file systems")
    folder = small_server.folder.parent / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=777", "tmpfs", str(folder)], check=True)
    try:
        inner = folder / "space"
        inner.mkdir()
        os.chown(inner, small_server.folder.stat().st_uid, small_server.folder.stat().st_gid)
        yield str(inner)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_full_disk_of_the_server_is_an_error_of_each_job_that_meets_it(
    small_server: Server, small_disk: str
) -> None:
    url = small_server.create()
    execute(url, f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    execute(url, "CREATE TABLE item (id serial, name text)")
    execute(url, "CREATE TABLE large (body text) TABLESPACE small")
    execute(url, "ALTER TABLE large ALTER body SET STORAGE EXTERNAL")
    large = "INSERT INTO large VALUES (repeat('x', $1))"
    async with aiomemdb.connect(url) as db:
        jobs = [db.write(large, (700_000,)) if n % 2 else db.write(INSERT, (str(n),)) for n in range(24)]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        kinds = {type(result).__name__ for result in results[1::2]}
        assert "DiskFull" in kinds and kinds <= {"NoneType", "DiskFull"}
        assert all(result is None for result in results[::2])
        written = sum(result is None for result in results[1::2])
        assert await db.read_value("SELECT count(*) FROM large") == written
        await db.write(INSERT, ("after",))
    assert names(url) == [*(str(n) for n in range(0, 24, 2)), "after"]
    execute(url, "DROP TABLE large")
    execute(url, "CHECKPOINT")
    execute(url, "DROP TABLESPACE small")


async def test_close_ends_a_connection_that_is_being_made_ready(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One for a transaction, while the row of its outcomes is asked for."""
    links: list[Link] = []
    asked = asyncio.Event()

    async def ask_for_long(ledger: Ledger, link: Link, *, is_direct: bool) -> bool:
        links.append(link)
        asked.set()
        await link.ask([(b"SELECT pg_sleep(1)", NOTHING)])
        return False

    db = await aiomemdb.connect(url)
    monkeypatch.setattr(Ledger, "adopt", ask_for_long)

    async def begin() -> None:
        async with db.transaction():
            pass

    beginning = asyncio.create_task(begin())
    await asked.wait()
    await db.close()
    assert all(link.lost is not None for link in links)
    with pytest.raises(aiomemdb.DatabaseClosed):
        await beginning
    no_connection_left(url)
