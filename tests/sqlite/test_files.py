"""The file: which targets are refused, how it is created, and what happens when it is changed under us (G14)."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from tests.support.plain import assert_healthy, names_in, plain
from tests.support.scripts import run_script_aside

INSERT = "INSERT INTO t VALUES (?)"

# What lies beside an open database; the last two stay.
SUFFIXES = ("-wal", "-shm", "-lock", "-next")


async def open_and_close(target: Any, **options: Any) -> None:
    async with aiomemdb.connect(target, **options) as db:
        await db.read("SELECT 1")


def contents(folder: Path) -> dict[str, str]:
    """What lies in the folder, byte for byte."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "-"
        for file in sorted(folder.rglob("*"))
    }


# -- targets that are refused at once ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "error", "advice"),
    [
        (b"test.db", TypeError, "a path"),
        (3, TypeError, "a path"),
        (None, TypeError, "a path"),
        (["test.db"], TypeError, "a path"),
        ("", ValueError, "give the path"),
        ("te\0st.db", ValueError, "NUL"),
        ("file:test.db", ValueError, "plain path"),
        ("file:///tmp/test.db?mode=ro", ValueError, "path"),
        ("mysql://host/db", ValueError, "unknown URL scheme 'mysql'"),
        ("sqlite:///test.db", ValueError, "unknown URL scheme 'sqlite'.*path"),
        ("sqlite+aiosqlite:///test.db", ValueError, r"unknown URL scheme 'sqlite\+aiosqlite'"),
    ],
)
def test_a_target_that_is_no_path_is_refused_before_any_input_or_output(
    target: Any, error: type[Exception], advice: str
) -> None:
    with pytest.raises(error, match=advice):
        aiomemdb.connect(target)


def test_a_pathlike_of_bytes_is_refused() -> None:
    class InBytes:
        def __fspath__(self) -> bytes:
            return b"test.db"

    with pytest.raises(TypeError, match="not bytes"):
        aiomemdb.connect(InBytes())  # type: ignore[arg-type]


def test_a_new_database_in_memory_can_not_be_read_only() -> None:
    with pytest.raises(ValueError, match="read_only=True makes no sense"):
        aiomemdb.connect(":memory:", read_only=True)


# -- targets that are refused when opened --------------------------------------------------------------------


def a_folder(folder: Path) -> Path:
    (folder / "x").mkdir()
    return folder / "x"


def in_no_folder(folder: Path) -> Path:
    return folder / "missing" / "x"


def behind_a_file(folder: Path) -> Path:
    (folder / "file").write_bytes(b"text")
    return folder / "file" / "x"


def a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "x")
    return folder / "x"


def a_socket(folder: Path) -> Path:
    with contextlib.chdir(folder), socket.socket(socket.AF_UNIX) as it:  # its path may be 107 bytes long
        it.bind("x")
    return folder / "x"


def a_loop_of_links(folder: Path) -> Path:
    (folder / "x").symlink_to("y")
    (folder / "y").symlink_to("x")
    return folder / "x"


def too_long(folder: Path) -> Path:
    return folder / ("x" * 300)


def too_long_for_sqlite(folder: Path) -> Path:
    """It has 507 bytes: Linux takes 4095."""
    name = folder / "folder"
    name.mkdir()
    while (missing := 507 - len(os.fsencode(name)) - len("/x")) > 0:
        name = name / ("y" * min(missing - 1, 200))
        name.mkdir()
    return name / "x"


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    ("make", "error", "advice"),
    [
        (a_folder, IsADirectoryError, "name a file in it"),
        (in_no_folder, FileNotFoundError, "create it first|read_only=True opens an existing one"),
        (behind_a_file, NotADirectoryError, "a part of this path is a file"),
        (a_pipe, OSError, "not a regular file"),
        (a_socket, OSError, "not a regular file"),
        (a_loop_of_links, OSError, "symbolic links"),
        (too_long, OSError, "too long"),
        (too_long_for_sqlite, OSError, "SQLite takes paths of at most 504 bytes.* has 507"),
    ],
)
async def test_a_path_that_is_no_database_is_a_clear_error_and_changes_nothing(
    tmp_path: Path, make: Callable[[Path], Path], error: type[OSError], advice: str, read_only: bool
) -> None:
    target = make(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(error, match=advice) as caught:
        await open_and_close(target, read_only=read_only)
    assert str(target.name) in str(caught.value)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        b"txt",
        b"not a database",
        b"\x89PNG\r\n\x1a\n" + bytes(5000),
        b"SQLite format 2\0" + bytes(4096),
        os.urandom(100_000),
    ],
    ids=["short", "text", "image", "another version", "encrypted"],
)
async def test_some_other_file_is_left_as_it_is_byte_for_byte(tmp_path: Path, text: bytes, read_only: bool) -> None:
    path = tmp_path / "x"
    path.write_bytes(text)
    before = contents(tmp_path)
    with pytest.raises(sqlite3.DatabaseError) as caught:
        await open_and_close(path, read_only=read_only)
    assert "left as it is" in "".join(caught.value.__notes__)
    assert contents(tmp_path) == before


async def test_a_missing_file_is_not_created_by_read_only(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="read_only=True opens an existing one"):
        await open_and_close(tmp_path / "x", read_only=True)
    assert contents(tmp_path) == {}


async def test_a_name_too_long_for_what_sqlite_makes_beside_it_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r'248 bytes, and 247 are allowed here.*"-journal"'):
        await open_and_close(tmp_path / ("x" * 248))
    assert contents(tmp_path) == {}
    await open_and_close(tmp_path / ("x" * 247))


async def test_a_file_with_two_names_is_read_but_not_written(tmp_path: Path) -> None:
    async with aiomemdb.connect(tmp_path / "x") as db:
        await db.write("CREATE TABLE t (x)")
        await db.write(INSERT, (1,))
    os.link(tmp_path / "x", tmp_path / "y")
    with pytest.raises(OSError, match=r"several names.*keep one name.*read_only=True opens it for reading"):
        await open_and_close(tmp_path / "x")
    for name in ("x", "y"):
        async with aiomemdb.connect(tmp_path / name, read_only=True) as db:
            assert await db.read_value("SELECT x FROM t") == 1


@pytest.mark.parametrize("free", range(2, 10, 2))
async def test_too_many_open_files_are_told_and_leave_nothing(tmp_path: Path, free: int) -> None:
    # In a program of its own with a lower limit.
    ended = await run_script_aside(
        """
        import asyncio, os, resource, sys
        import aiomemdb

        path, free = sys.argv[1], int(sys.argv[2])

        async def main():
            highest = max(map(int, os.listdir("/dev/fd")))
            while (latest := os.open(os.devnull, os.O_RDONLY)) <= highest:
                pass  # it fills a gap
            resource.setrlimit(resource.RLIMIT_NOFILE, (latest + 1 + free, 4096))
            try:
                async with aiomemdb.connect(path):
                    print("opened")
            except OSError as error:
                print(error)

        asyncio.run(main())
        """,
        tmp_path / "x",
        free,
    )
    ended.assert_ok()
    ended.assert_quiet()
    assert "too many files are open to open a database" in ended.stdout, ended
    assert contents(tmp_path) == {}


async def test_files_that_may_not_be_written_or_read_are_told_so() -> None:
    # In a program of its own, as a user without rights: permissions don't bind root.
    ended = await run_script_aside(
        """
        import asyncio, os, shutil, sqlite3, sys, tempfile
        import aiomemdb
        import aiomemdb.sqlite.engine.database  # while Python's own files may be read

        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)

        async def attempt(path, **options):
            try:
                async with aiomemdb.connect(path, **options) as db:
                    await db.read("SELECT 1")
                    print("opened")
            except (OSError, sqlite3.Error) as error:
                print(type(error).__name__, error)

        async def main():
            made = os.path.join(folder, "made.db")
            await attempt(made)
            os.chmod(made, 0o400)
            await attempt(made)
            await attempt(made, read_only=True)
            os.chmod(made, 0o000)
            await attempt(made, read_only=True)
            os.chmod(made, 0o600)
            os.chmod(folder, 0o500)
            await attempt(made)
            await attempt(os.path.join(folder, "new.db"))
            os.chmod(folder, 0o700)
            for suffix in ("-wal", "-shm"):
                os.remove(made + suffix)
            os.chmod(folder, 0o500)
            await attempt(made, read_only=True)
            os.chmod(folder, 0o700)
            print([name for name in os.listdir(folder) if "-" not in name])  # read_only leaves a -wal and a -shm

        folder = tempfile.mkdtemp()
        try:
            asyncio.run(main())
        finally:
            os.chmod(folder, 0o700)
            shutil.rmtree(folder)
        """
    )
    ended.assert_ok()
    writing = "no permission to write this database and its folder"
    expected = [
        "opened",
        f"PermissionError [Errno 13] {writing}",
        "opened",
        "PermissionError [Errno 13] no permission to read this database",
        f"PermissionError [Errno 13] {writing}",
        "PermissionError [Errno 13] no permission to create a file in",
        "PermissionError [Errno 13] a database with a write-ahead log is read through a -shm beside it",
        "['made.db']",
    ]
    lines = ended.stdout.splitlines()
    assert len(lines) == len(expected), ended
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(start), ended


async def test_a_read_only_file_system_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("aiomemdb.sqlite.file.files.os.open", refuse)
    with pytest.raises(OSError, match="is on a read-only file system"):
        await open_and_close(tmp_path / "x")


# -- names, links, modes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "a b.db",
        "?mode=memory",
        "x?cache=shared#fragment",
        "100%25.db",
        "%00.db",
        "ünïcödé✓.db",
        "quote'\"quote.db",
        "line\nbreak.db",
        "back\\slash.db",
        ":colon:",
        "-dash",
        "...",
        os.fsdecode(b"latin-1 \xe9.db"),
        "x" * 200,
    ],
)
async def test_any_name_of_a_file_is_that_files_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "f?o#l%20d"
    folder.mkdir()
    async with aiomemdb.connect(folder / name) as db:
        await db.write("CREATE TABLE t (x)")
        assert await db.read_value("SELECT count(*) FROM t") == 0
        assert sorted(os.listdir(folder)) == sorted(f"{name}{suffix}" for suffix in ("", *SUFFIXES))
    assert names_in(folder) == [name]


async def test_a_path_may_begin_with_two_slashes_or_be_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await open_and_close(f"/{tmp_path}/a.db")
    monkeypatch.chdir(tmp_path)
    await open_and_close("b.db")
    await open_and_close(Path("c.db"))
    assert names_in(tmp_path) == ["a.db", "b.db", "c.db"]


async def test_a_relative_path_means_the_folder_in_which_it_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with aiomemdb.connect("a.db") as db:
        monkeypatch.chdir("/")
        await db.write("CREATE TABLE t (x)")
        await db.backup(tmp_path / "b.db")
    assert plain(tmp_path / "a.db", "SELECT count(*) FROM t") == [(0,)]


@pytest.mark.parametrize("there", [True, False])
async def test_a_symbolic_link_opens_the_file_that_it_names(tmp_path: Path, there: bool) -> None:
    (tmp_path / "data").mkdir()
    link, real = tmp_path / "link.db", tmp_path / "data" / "real.db"
    if there:
        await open_and_close(real)
    link.symlink_to(real)
    async with aiomemdb.connect(link) as one, aiomemdb.connect(real) as two:
        await one.write("CREATE TABLE t (x)")
        assert await two.read_value("SELECT count(*) FROM t") == 0
        assert (tmp_path / "data" / "real.db-wal").exists()
        assert not (tmp_path / "link.db-wal").exists()
    assert link.is_symlink()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
async def test_a_new_database_and_its_log_are_readable_by_their_owner_alone(db_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        async with aiomemdb.connect(db_path) as db:
            await db.write("CREATE TABLE t (x)")
            modes = {file.name: oct(file.stat().st_mode & 0o777) for file in db_path.parent.iterdir()}
            await db.backup(db_path.with_name("copy.db"))
    finally:
        os.umask(before)
    assert modes == dict.fromkeys([f"test.db{suffix}" for suffix in ("", *SUFFIXES)], "0o600")
    assert oct(db_path.with_name("copy.db").stat().st_mode & 0o777) == "0o600"


async def test_the_mode_of_a_file_that_is_there_stays_and_its_log_has_it_too(db_path: Path) -> None:
    with closing(sqlite3.connect(db_path)) as conn:
        conn.execute("CREATE TABLE t (x)")
    db_path.chmod(0o660)
    async with aiomemdb.connect(db_path) as db:
        await db.write(INSERT, (1,))
        modes = {file.name: oct(file.stat().st_mode & 0o777) for file in db_path.parent.iterdir()}
    assert modes == dict.fromkeys([f"test.db{suffix}" for suffix in ("", *SUFFIXES)], "0o660")


async def test_an_empty_file_becomes_a_database(db_path: Path) -> None:
    db_path.touch()
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
    assert plain(db_path, "SELECT count(*) FROM t") == [(0,)]


async def test_closing_leaves_the_database_alone_in_its_folder(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
    assert names_in(db_path.parent) == [db_path.name]


async def test_what_a_killed_program_left_in_the_log_is_there_after_opening(db_path: Path) -> None:
    ended = await run_script_aside(
        """
        import aiomemdb, os, sys

        async def main():
            db = await aiomemdb.connect(sys.argv[1])
            await db.write("CREATE TABLE t (x)")
            await db.write("INSERT INTO t VALUES (1)")
            os._exit(0)

        aiomemdb.run(main)
        """,
        db_path,
    )
    ended.assert_ok()
    assert db_path.with_name(db_path.name + "-wal").exists()
    async with aiomemdb.connect(db_path) as db:
        assert await db.read_value("SELECT x FROM t") == 1


# -- changed under us ----------------------------------------------------------------------------------------


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def remove_database(path: Path) -> None:
    path.unlink()


def remove_log(path: Path) -> None:
    log_of(path).unlink()


def remove_all_but_locks(path: Path) -> None:
    for name in ("", "-wal", "-shm"):
        path.with_name(path.name + name).unlink()


def remove_all(path: Path) -> None:
    for file in path.parent.glob(path.name + "*"):
        file.unlink()


def remove_index(path: Path) -> None:
    path.with_name(path.name + "-shm").unlink()


def restore_a_copy(path: Path) -> None:
    shutil.copyfile(path.with_name("backup.db"), path.with_name("new.db"))
    path.with_name("new.db").replace(path)


def put_an_empty_file_in_its_place(path: Path) -> None:
    path.unlink()
    path.touch()


def replace_log(path: Path) -> None:
    text = log_of(path).read_bytes()
    log_of(path).unlink()
    log_of(path).write_bytes(text)


def move_away(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def trap_of_posix(path: Path) -> None:
    # Closing any descriptor of the file drops this process's locks on it. Then another program takes itself for the
    # last one, and removes the log (https://www.sqlite.org/howtocorrupt.html, 2.2).
    with open(path, "rb"):
        pass
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM t').fetchall(); c.close()"
    subprocess.run([sys.executable, "-c", code, path], check=True)


CHANGES = [
    remove_database,
    remove_log,
    remove_index,
    remove_all_but_locks,
    remove_all,
    restore_a_copy,
    put_an_empty_file_in_its_place,
    replace_log,
    move_away,
    trap_of_posix,
]


@pytest.fixture
async def db(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """Open, with a row; a copy lies beside it."""
    # As where the trap of POSIX can't be disarmed; where it can, see test_hazards.py.
    monkeypatch.setattr("aiomemdb.sqlite.connection.connection.hold", lambda path: None)
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        await db.write(INSERT, (1,))
        await db.backup(db_path.with_name("backup.db"))
        yield db


@pytest.mark.parametrize("change", CHANGES)
async def test_nothing_is_acknowledged_into_files_that_no_other_process_can_see(
    db: Any, db_path: Path, change: Callable[[Path], None]
) -> None:
    change(db_path)
    with pytest.raises(aiomemdb.CommitOutcomeUnknown) as unknown:
        await db.write(INSERT, (2,))
    assert unknown.value.applied is None
    assert isinstance(unknown.value.__cause__, aiomemdb.DatabaseReplaced)
    with pytest.raises(aiomemdb.DatabaseReplaced, match="under a running program") as stopped:
        await db.write(INSERT, (3,))
    assert stopped.value.applied is False


@pytest.mark.parametrize("change", CHANGES)
async def test_afterwards_reads_go_on_and_closing_works(db: Any, db_path: Path, change: Callable[[Path], None]) -> None:
    change(db_path)
    with pytest.raises(aiomemdb.CommitOutcomeUnknown):
        await db.write(INSERT, (2,))
    assert await db.read_value("SELECT min(x) FROM t") == 1
    async with db.snapshot() as snapshot:
        assert await snapshot.read_value("SELECT min(x) FROM t") == 1
    await db.close()


async def test_all_who_wait_behind_it_hear_that_they_were_not_applied(db: Any, db_path: Path) -> None:
    remove_log(db_path)
    first = db.submit(INSERT, (2,))
    await asyncio.wait([first])
    behind = [asyncio.ensure_future(db.write(INSERT, (n,))) for n in range(3, 13)]
    outcomes = await asyncio.gather(*behind, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {aiomemdb.DatabaseReplaced}
    assert {outcome.applied for outcome in outcomes} == {False}
    assert isinstance(first.exception(), aiomemdb.CommitOutcomeUnknown)


async def test_a_transaction_is_told_at_its_end(db: Any, db_path: Path) -> None:
    with pytest.raises(aiomemdb.CommitOutcomeUnknown):
        async with db.transaction() as tx:
            await tx.write(INSERT, (2,))
            remove_database(db_path)
    with pytest.raises(aiomemdb.DatabaseReplaced):
        async with db.transaction():
            pass


async def test_closing_spares_the_log_of_the_database_that_came_in_its_place(db: Any, db_path: Path) -> None:
    remove_all_but_locks(db_path)
    with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("CREATE TABLE u (x)")
        other.execute("INSERT INTO u VALUES ('of the other')")
        with pytest.raises(aiomemdb.CommitOutcomeUnknown):
            await db.write(INSERT, (2,))
        await db.close()
        assert log_of(db_path).exists()
    assert plain(db_path, "SELECT x FROM u") == [("of the other",)]
    assert_healthy(db_path)


async def test_a_second_name_given_while_it_is_open_changes_nothing(db: Any, db_path: Path) -> None:
    os.link(db_path, db_path.with_name("second"))
    await db.write(INSERT, (2,))
    db_path.with_name("second").unlink()
    await db.write(INSERT, (3,))
    assert await db.read_value("SELECT count(*) FROM t") == 3


async def test_a_replacement_is_seen_though_the_folders_mtime_is_set_back(
    db: Any, db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Otherwise a folder that has just changed is not trusted.
    monkeypatch.setattr("aiomemdb.sqlite.file.files._CLOCK_TICK", 0)
    await db.write(INSERT, (2,))
    before = db_path.parent.stat()
    restore_a_copy(db_path)
    os.utime(db_path.parent, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(aiomemdb.CommitOutcomeUnknown):
        await db.write(INSERT, (3,))


async def test_other_files_in_the_folder_may_come_and_go(db: Any, db_path: Path) -> None:
    for n in range(40):
        db_path.with_name(f"other-{n}").touch()
        await db.write(INSERT, (n,))
        db_path.with_name(f"other-{n}").unlink()
    assert await db.read_value("SELECT count(*) FROM t") == 41
