"""G15: misuse is an immediate error that says what to do, never a hang, and nothing of it is applied."""

from __future__ import annotations

import asyncio
import functools
import gc
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from tests.support.plain import plain

INSERT = "INSERT INTO t VALUES (?)"
COUNT = "SELECT count(*) FROM t"


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[Any]:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        yield db


async def enter(block: Any) -> None:
    async with block:
        pass


async def settled(call: Callable[[], Any]) -> Any:
    """What a verb returns, whether it is a coroutine, an iterator, a block, a future or a value."""
    made = call()
    if hasattr(made, "__anext__"):
        return await anext(made)
    if hasattr(made, "__aenter__"):
        return await enter(made)
    if hasattr(made, "__await__"):
        return await made
    return made


WRITES: dict[str, Callable[[Any], Any]] = {
    "write": lambda db: db.write(INSERT, (1,)),
    "write durable": lambda db: db.write(INSERT, (1,), durable=True),
    "write timeout": lambda db: db.write(INSERT, (1,), timeout=1),
    "write_count": lambda db: db.write_count(INSERT, (1,)),
    "write_returning": lambda db: db.write_returning(INSERT + " RETURNING x", (1,)),
    "write_many": lambda db: db.write_many(INSERT, [(1,)]),
    "write_script": lambda db: db.write_script("INSERT INTO t VALUES (1)"),
    "write_fn": lambda db: db.write_fn(lambda conn: conn.execute(INSERT, (1,)).rowcount),
    "submit": lambda db: db.submit(INSERT, (1,)),
    "transaction": lambda db: db.transaction(),
    "flush": lambda db: db.flush(),
    "checkpoint": lambda db: db.checkpoint(),
    "optimize": lambda db: db.optimize(),
    "vacuum": lambda db: db.vacuum(),
}

READS: dict[str, Callable[[Any], Any]] = {
    "read": lambda db: db.read(COUNT),
    "read timeout": lambda db: db.read(COUNT, timeout=1),
    "read_one": lambda db: db.read_one(COUNT),
    "read_value": lambda db: db.read_value(COUNT),
    "read_fn": lambda db: db.read_fn(lambda conn: conn.execute(COUNT).fetchone()[0]),
    "read_stream": lambda db: db.read_stream(COUNT),
    "snapshot": lambda db: db.snapshot(),
    "backup": lambda db: db.backup(str(db._target) + ".copy"),
}

VERBS = WRITES | READS


# -- when ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [*VERBS, "statistics"])
async def test_before_it_is_opened_every_verb_says_how_to_open_it(db_path: Path, verb: str) -> None:
    db = aiomemdb.connect(db_path)
    use = VERBS.get(verb, lambda db: db.statistics())
    with pytest.raises(aiomemdb.DatabaseClosed, match="not open yet: use `async with") as caught:
        await settled(lambda: use(db))
    assert caught.value.applied is False
    assert not db_path.exists()


@pytest.mark.parametrize("verb", VERBS)
async def test_after_close_every_verb_says_that_it_is_closed(db_path: Path, verb: str) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
    with pytest.raises(aiomemdb.DatabaseClosed, match="closed") as caught:
        await settled(lambda: VERBS[verb](db))
    assert caught.value.applied is False
    assert plain(db_path, COUNT) == [(0,)]


async def test_closing_what_was_never_opened_does_nothing_and_it_is_not_opened_afterwards(db_path: Path) -> None:
    db = aiomemdb.connect(db_path)
    await db.close()
    await db.close()
    with pytest.raises(aiomemdb.AiomemdbError):
        await db
    assert not db_path.exists()


async def test_a_stream_and_a_snapshot_that_outlive_the_database_say_that_it_is_closed(db_path: Path) -> None:
    db = await aiomemdb.connect(db_path)
    stream, snapshot = db.read_stream("SELECT name FROM pragma_function_list", chunk=1), db.snapshot()
    await anext(stream)
    entered = await snapshot.__aenter__()
    await db.close()
    for use in (lambda: anext(stream), lambda: entered.read("SELECT 1")):
        with pytest.raises(aiomemdb.DatabaseClosed):
            await settled(use)
    await snapshot.__aexit__(None, None, None)


# -- where ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [*VERBS, "close"])
async def test_in_another_thread_every_verb_names_run_coroutine_threadsafe(db: Any, verb: str) -> None:
    use = VERBS.get(verb, lambda db: db.close())

    def in_thread() -> None:
        with pytest.raises(aiomemdb.WrongLoop, match="run_coroutine_threadsafe") as caught:
            asyncio.run(settled(lambda: use(db)))
        assert caught.value.applied is False

    await asyncio.to_thread(in_thread)
    assert await db.read_value(COUNT) == 0


@pytest.mark.parametrize("verb", [*VERBS, "close"])
async def test_in_a_thread_without_a_loop_every_verb_names_run_coroutine_threadsafe(db: Any, verb: str) -> None:
    use = VERBS.get(verb, lambda db: db.close())

    def in_thread() -> None:
        with pytest.raises(aiomemdb.WrongLoop, match="run_coroutine_threadsafe"):
            settled(lambda: use(db)).send(None)

    await asyncio.to_thread(in_thread)
    assert await db.read_value(COUNT) == 0


async def test_the_advice_of_wrong_loop_works(db: Any) -> None:
    loop = asyncio.get_running_loop()

    def in_thread() -> int | None:
        return asyncio.run_coroutine_threadsafe(db.write(INSERT, (1,)), loop).result(5)

    assert await asyncio.to_thread(in_thread) == 1


def test_on_a_second_loop_of_the_same_thread_every_verb_is_wrong_loop(db_path: Path) -> None:
    async def open_it() -> Any:
        db = await aiomemdb.connect(db_path)
        await db.write("CREATE TABLE t (x)")
        return db

    with asyncio.Runner() as first:
        db = first.run(open_it())
        with asyncio.Runner() as second:
            for use in [*VERBS.values(), lambda db: db.close()]:
                with pytest.raises(aiomemdb.WrongLoop, match=r"opened on another event loop.*open it on the loop"):
                    second.run(settled(functools.partial(use, db)))
        first.run(db.close())
    assert plain(db_path, COUNT) == [(0,)]


def test_on_its_own_loop_but_not_running_every_verb_is_wrong_loop(db_path: Path) -> None:
    # As a program of another framework would drive it: no asyncio loop runs in this thread.
    async def open_it() -> Any:
        db = await aiomemdb.connect(db_path)
        await db.write("CREATE TABLE t (x)")
        return db

    with asyncio.Runner() as runner:
        db = runner.run(open_it())
        for use in VERBS.values():
            with pytest.raises(aiomemdb.WrongLoop):
                settled(functools.partial(use, db)).send(None)
        runner.run(db.close())


async def test_run_inside_a_running_loop_says_to_await_main(recwarn: pytest.WarningsRecorder) -> None:
    async def main() -> None:
        raise AssertionError("it never runs")

    for given in (main(), main):
        with pytest.raises(RuntimeError, match=r"await main\(\) instead"):
            aiomemdb.run(given)
    gc.collect()
    assert not recwarn.list  # "coroutine was never awaited"


def test_on_windows_connect_says_what_is_missing() -> None:
    text = (
        "import sys, asyncio, sqlite3, aiosqlite, anyio; sys.platform = 'win32'\n"
        "import aiomemdb\n"
        "try: aiomemdb.connect('never-made.db')\n"
        "except ImportError as error: print(error)"
    )
    ended = subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True)
    assert "needs Linux or macOS" in ended.stdout and "WSL 2" in ended.stdout


# -- read_only -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", WRITES)
async def test_opened_for_reading_every_write_is_sqlites_read_only_error(db_path: Path, verb: str) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
    async with aiomemdb.connect(db_path, read_only=True) as db:
        with pytest.raises(sqlite3.OperationalError, match="attempt to write a readonly database") as caught:
            await settled(lambda: WRITES[verb](db))
        assert caught.value.sqlite_errorname == "SQLITE_READONLY"
        assert "read_only=True" in "".join(caught.value.__notes__)
    assert plain(db_path, COUNT) == [(0,)]


@pytest.mark.parametrize("verb", READS)
async def test_opened_for_reading_every_read_works(db_path: Path, verb: str) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
    async with aiomemdb.connect(db_path, read_only=True) as db:
        await settled(lambda: READS[verb](db))
        assert db.statistics().writes == 0


async def test_what_is_opened_for_reading_sees_what_others_write(db: Any, db_path: Path) -> None:
    async with aiomemdb.connect(db_path, read_only=True) as reading:
        await db.write(INSERT, (1,))
        assert await reading.read_value(COUNT) == 1


# -- SQL -----------------------------------------------------------------------------------------------------

ONE_STATEMENT = [
    "write",
    "write_count",
    "write_returning",
    "write_many",
    "read",
    "read_one",
    "read_value",
    "read_stream",
]


def call(db: Any, verb: str, sql: Any, params: Any = ()) -> Any:
    return getattr(db, verb)(sql, [params] if verb == "write_many" else params)


@pytest.mark.parametrize("verb", ONE_STATEMENT)
@pytest.mark.parametrize("sql", ["", "   ", ";", "-- a comment", "/* a comment */ ;"])
async def test_empty_sql_is_an_error(db: Any, verb: str, sql: str) -> None:
    with pytest.raises(sqlite3.ProgrammingError, match="empty"):
        await settled(lambda: call(db, verb, sql))


@pytest.mark.parametrize("verb", ONE_STATEMENT)
async def test_two_statements_in_one_are_an_error_and_neither_is_run(db: Any, verb: str) -> None:
    sql = "SELECT 1; SELECT 2" if verb.startswith("read") else "INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)"
    with pytest.raises((sqlite3.ProgrammingError, sqlite3.Warning), match="one statement at a time"):
        await settled(lambda: call(db, verb, sql))
    assert await db.read_value(COUNT) == 0


@pytest.mark.parametrize("verb", [*ONE_STATEMENT, "write_script", "submit"])
@pytest.mark.parametrize("sql", [None, 3, b"SELECT 1", ["SELECT 1"]])
async def test_sql_that_is_no_str_is_a_type_error(db: Any, verb: str, sql: Any) -> None:
    use = (lambda: db.write_script(sql)) if verb == "write_script" else lambda: call(db, verb, sql)
    with pytest.raises(TypeError, match=r"must be (a )?str, not"):
        await settled(use)


@pytest.mark.parametrize("verb", ["write", "write_count", "read", "read_one", "read_value", "read_stream"])
async def test_broken_sql_is_sqlites_error_with_the_sql_in_a_note(db: Any, verb: str) -> None:
    with pytest.raises(sqlite3.OperationalError, match="syntax error") as caught:
        await settled(lambda: call(db, verb, "SELEKT ?", ("a secret",)))
    assert "SQL: SELEKT ?" in caught.value.__notes__
    assert "secret" not in str(caught.value.__notes__)


async def test_a_long_statement_is_cut_in_the_note(db: Any) -> None:
    with pytest.raises(sqlite3.OperationalError) as caught:
        await db.write("SELEKT " + "x" * 100_000)
    [note] = caught.value.__notes__
    assert len(note) < 1100
    assert "(100007 characters)" in note


async def test_a_write_in_a_read_verb_is_sqlites_read_only_error(db: Any) -> None:
    for verb in ("read", "read_one", "read_value", "read_stream"):
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await settled(lambda verb=verb: call(db, verb, "INSERT INTO t VALUES (1) RETURNING x"))
    assert await db.read_value(COUNT) == 0


async def test_write_returning_without_returning_says_which_verb_to_use_and_changes_nothing(db: Any) -> None:
    with pytest.raises(sqlite3.ProgrammingError, match=r"RETURNING; use write\(\)"):
        await db.write_returning(INSERT, (1,))
    assert await db.read_value(COUNT) == 0


# -- parameters ----------------------------------------------------------------------------------------------


def generator() -> Iterator[int]:
    yield 1


TAKES_PARAMS = ["write", "write_count", "write_returning", "submit", "read", "read_one", "read_value", "read_stream"]


@pytest.mark.parametrize("verb", TAKES_PARAMS)
@pytest.mark.parametrize(
    "make",
    [lambda: "text", lambda: b"bytes", lambda: 3, lambda: 1.5, lambda: {1, 2}, generator, lambda: None, object],
    ids=["str", "bytes", "int", "float", "set", "generator", "None", "object"],
)
async def test_params_that_are_neither_a_sequence_nor_a_mapping_are_a_type_error(
    db: Any, verb: str, make: Callable[[], Any]
) -> None:
    with pytest.raises(TypeError, match=r"params must be a sequence .* or a mapping"):
        await settled(lambda: call(db, verb, "SELECT ?", make()))


@pytest.mark.parametrize("params", ["text", 3])
async def test_one_bare_value_gets_the_advice_to_make_it_a_tuple(db: Any, params: Any) -> None:
    with pytest.raises(TypeError, match=r"for one value write \(value,\)"):
        await db.write(INSERT, params)


@pytest.mark.parametrize("rows", ["text", b"bytes", {"x": 1}, 3, None])
async def test_write_many_takes_an_iterable_of_parameter_sets(db: Any, rows: Any) -> None:
    with pytest.raises(TypeError, match="iterable of parameter sets"):
        await db.write_many(INSERT, rows)


async def test_write_many_with_one_bad_set_inserts_none(db: Any) -> None:
    with pytest.raises(TypeError, match="params must be"):
        await db.write_many(INSERT, [(1,), 2, (3,)])
    with pytest.raises(sqlite3.ProgrammingError):
        await db.write_many(INSERT, [(1,), (1, 2)])
    assert await db.read_value(COUNT) == 0


@pytest.mark.parametrize(
    "verb", ["write", "write_count", "read", "read_one", "read_value", "read_stream", "write_many"]
)
@pytest.mark.parametrize("params", [(), (1, 2), {"other": 1}], ids=["too few", "too many", "another name"])
async def test_the_wrong_parameters_are_sqlites_error(db: Any, verb: str, params: Any) -> None:
    insert = "INSERT INTO t VALUES (:x)" if isinstance(params, dict) else INSERT
    query = "SELECT :x" if isinstance(params, dict) else "SELECT ?"
    with pytest.raises(sqlite3.ProgrammingError, match=r"(?i)bind") as caught:
        await settled(lambda: call(db, verb, query if verb.startswith("read") else insert, params))
    assert any("SQL: " in note for note in caught.value.__notes__)
    assert await db.read_value(COUNT) == 0


@pytest.mark.parametrize("value", [object(), [1], {"a": 1}, 1j], ids=["object", "list", "dict", "complex"])
async def test_a_value_of_a_type_that_sqlite_does_not_know_is_its_error(db: Any, value: Any) -> None:
    with pytest.raises((sqlite3.ProgrammingError, sqlite3.InterfaceError), match="type"):
        await db.write(INSERT, (value,))
    with pytest.raises((sqlite3.ProgrammingError, sqlite3.InterfaceError), match="type"):
        await db.read("SELECT ?", (value,))


async def test_a_number_beyond_64_bits_is_an_overflow_error(db: Any) -> None:
    for use in (lambda: db.write(INSERT, (2**63,)), lambda: db.read("SELECT ?", (2**63,))):
        with pytest.raises(OverflowError):
            await settled(use)
    assert await db.write(INSERT, (2**63 - 1,)) == 1


async def test_text_that_is_no_unicode_is_an_error_of_its_own_caller(db: Any) -> None:
    jobs = [db.submit(INSERT, (x,)) for x in ("before", "\ud800", "after")]
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    assert outcomes[0] == 1 and outcomes[2] == 2
    assert isinstance(outcomes[1], UnicodeEncodeError)


async def test_what_the_caller_does_to_its_list_afterwards_changes_nothing(db: Any) -> None:
    params, mapping = [1], {"x": 2}
    jobs = [db.submit(INSERT, params), db.submit("INSERT INTO t VALUES (:x)", mapping)]
    params[0], mapping["x"] = 99, 99
    await asyncio.gather(*jobs)
    assert [row["x"] for row in await db.read("SELECT x FROM t ORDER BY x")] == [1, 2]


@pytest.mark.parametrize("params", [[1], (1,), range(1, 2), {"x": 1}])
async def test_any_sequence_and_any_mapping_will_do(db: Any, params: Any) -> None:
    await db.write("INSERT INTO t VALUES (:x)" if isinstance(params, dict) else INSERT, params)
    assert await db.read_value("SELECT x FROM t") == 1


async def test_a_row_that_was_read_can_be_written(db: Any) -> None:
    row = await db.read_one("SELECT 7 AS x")
    await db.write(INSERT, row)
    assert await db.read_value("SELECT x FROM t") == 7


# -- sizes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["x" * 100_001, b"x" * 100_001], ids=["text", "blob"])
@pytest.mark.parametrize("verb", ["write", "write_count", "write_many"])
async def test_a_value_over_max_value_bytes_is_an_error_that_names_the_option(
    db_path: Path, verb: str, value: str | bytes
) -> None:
    async with aiomemdb.connect(db_path, max_value_bytes=100_000) as db:
        await db.write("CREATE TABLE t (x)")
        with pytest.raises((sqlite3.DataError, OverflowError)) as caught:
            await settled(lambda: call(db, verb, INSERT, (value,)))
        assert "max_value_bytes=100000" in "".join(caught.value.__notes__)
        assert await db.read_value(COUNT) == 0
        assert await db.write(INSERT, (value[:90_000],)) == 1


async def test_a_value_made_by_sql_is_bounded_too(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, max_value_bytes=100_000) as db:
        await db.write("CREATE TABLE t (x)")
        with pytest.raises((sqlite3.DataError, sqlite3.OperationalError)) as caught:
            await db.write("INSERT INTO t VALUES (zeroblob(200000))")
        assert "max_value_bytes=100000" in "".join(caught.value.__notes__)
        async with db.transaction() as tx:
            with pytest.raises((sqlite3.DataError, sqlite3.OperationalError)) as caught:
                await tx.write("INSERT INTO t VALUES (zeroblob(200000))")
            assert "max_value_bytes=100000" in "".join(caught.value.__notes__)


async def test_what_is_larger_than_the_bound_can_still_be_read(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        await db.write(INSERT, ("x" * 200_000,))
    async with aiomemdb.connect(db_path, max_value_bytes=100_000) as db:
        assert len(await db.read_value("SELECT x FROM t")) == 200_000


# -- functions -----------------------------------------------------------------------------------------------


async def coroutine_function(conn: Any) -> None:
    raise AssertionError("never runs")


async def async_generator(conn: Any) -> AsyncIterator[None]:
    yield


def generator_function(conn: Any) -> Iterator[None]:
    yield


@pytest.mark.parametrize("verb", ["write_fn", "read_fn"])
@pytest.mark.parametrize(
    ("function", "advice"),
    [
        (coroutine_function, "synchronous function.*transaction"),
        (async_generator, "synchronous function"),
        (functools.partial(coroutine_function), "synchronous function"),
        (generator_function, "not a generator"),
        ("SELECT 1", "takes a function"),
        (None, "takes a function"),
    ],
    ids=["async", "async generator", "partial of async", "generator", "str", "None"],
)
async def test_a_function_verb_takes_a_plain_function(db: Any, verb: str, function: Any, advice: str) -> None:
    with pytest.raises(TypeError, match=f"{verb}.*{advice}"):
        await getattr(db, verb)(function)


class AsyncCall:
    async def __call__(self, conn: Any) -> None:
        raise AssertionError("never runs")


@pytest.mark.parametrize("verb", ["write_fn", "read_fn"])
@pytest.mark.parametrize(
    "function", [lambda conn: coroutine_function(conn), AsyncCall()], ids=["lambda", "object with async __call__"]
)
async def test_a_function_that_returns_an_awaitable_is_told_so_and_undone(db: Any, verb: str, function: Any) -> None:
    with pytest.raises(TypeError, match="synchronous"):
        await getattr(db, verb)(function)


@pytest.mark.parametrize("verb", ["write_fn", "read_fn"])
async def test_a_cursor_does_not_leave_its_thread(db: Any, verb: str) -> None:
    with pytest.raises(TypeError, match="fetch the rows inside"):
        await getattr(db, verb)(lambda conn: conn.execute(COUNT))


async def test_a_connection_kept_by_a_function_is_of_no_use_in_another_thread(db: Any) -> None:
    kept: list[sqlite3.Connection] = []
    await db.write_fn(kept.append)
    with pytest.raises(sqlite3.ProgrammingError, match="thread"):
        kept[0].execute(INSERT, (1,))
    kept.clear()


# -- timeouts and other arguments ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "verb", ["write", "read", "read_one", "read_value", "read_stream", "snapshot", "transaction", "flush"]
)
@pytest.mark.parametrize(("timeout", "error"), [(-1, ValueError), (float("nan"), ValueError), ("1", TypeError)])
async def test_a_timeout_that_is_none_is_an_error(db: Any, verb: str, timeout: Any, error: type[Exception]) -> None:
    arguments = () if verb in ("snapshot", "transaction", "flush") else ("SELECT 1",)
    with pytest.raises(error, match="timeout="):
        await settled(lambda: getattr(db, verb)(*arguments, timeout=timeout))


async def test_the_timeout_of_close_is_checked_too(db: Any) -> None:
    for timeout, error in ((-1, ValueError), ("10", TypeError)):
        with pytest.raises(error, match="timeout="):
            await db.close(timeout)


@pytest.mark.parametrize("chunk", [0, -1, 1.5, "many", None])
async def test_a_chunk_is_a_whole_number_of_rows(db: Any, chunk: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="chunk="):
        db.read_stream(COUNT, chunk=chunk)


async def test_a_backup_over_a_file_that_is_there_or_into_no_folder_is_refused(db: Any, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("text")
    with pytest.raises(FileExistsError, match="back up to a new name"):
        await db.backup(tmp_path / "there")
    assert (tmp_path / "there").read_text() == "text"
    with pytest.raises(FileNotFoundError, match="folder"):
        await db.backup(tmp_path / "missing" / "copy.db")


async def test_misuse_in_another_thread_while_others_write_disturbs_no_other(db: Any) -> None:
    refused: list[aiomemdb.WrongLoop] = []

    def misuse() -> None:
        for _ in range(300):
            try:
                db.submit(INSERT, (-1,))
            except aiomemdb.WrongLoop as error:
                refused.append(error)

    thread = asyncio.create_task(asyncio.to_thread(misuse))
    await asyncio.gather(*(db.write(INSERT, (n,)) for n in range(400)))
    await thread
    assert len(refused) == 300
    assert await db.read_value("SELECT count(*) FILTER (WHERE x = -1) || ' ' || count(*) FROM t") == "0 400"
