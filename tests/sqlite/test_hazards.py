"""What SQLite's locks on a file can't stand: a fork, a second SQLite library, a network file system, a known bug."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb.sqlite.file.hazards import has_wal_reset_bug, mount_points, network_file_system
from tests.support.plain import assert_healthy, names_in, plain
from tests.support.scripts import run_script_aside

INSERT = "INSERT INTO t VALUES (?)"


async def lines_of(script: str, path: Path) -> list[str]:
    """What a program prints that is given the path; it ends well, and the file is whole then."""
    ended = await run_script_aside(PROLOGUE + script, path)
    ended.assert_ok()
    ended.assert_quiet()
    assert_healthy(path)
    return ended.stdout.splitlines()


PROLOGUE = """
import asyncio, os, signal, sqlite3, subprocess, sys, warnings
import aiomemdb

path = sys.argv[1]
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)  # it is what is tested

def say(*what):
    os.write(1, (" ".join(map(str, what)) + "\\n").encode())

async def attempt(value, hold=None):
    # Opens it and writes a row; `hold` is called between the two.
    try:
        async with aiomemdb.connect(path) as db:
            if hold is not None:
                hold()
            await db.write("INSERT INTO t VALUES (?)", (value,))
            say("wrote", value)
    except aiomemdb.AiomemdbError as error:
        say(type(error).__name__, error.applied)

def rows():
    # As a program sees them that has nothing open yet, and leaves the log as it is.
    code = (
        "import sqlite3, sys; conn = sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True);"
        "print(*[x for x, in conn.execute('SELECT x FROM t')])"
    )
    return subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True).stdout.strip()

def fork(in_child):
    pid = os.fork()
    if pid == 0:
        signal.alarm(120)  # where its parent failed, no answer comes
        try:
            in_child()
        except BaseException as error:
            say("child", repr(error))
        os._exit(0)
    return pid

def create():
    conn = sqlite3.connect(path, isolation_level=None)
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute("CREATE TABLE t (x)")
    conn.close()
"""


# -- forks -------------------------------------------------------------------------------------------------------

# The child's new connection would hold no lock. Then the parent's close is the last one for all that it can see, and
# removes the log under the child:
#
#     parent            child
#     opens
#     forks             opens anew, no lock
#     closes; no log
#                       writes 'of the child' into the removed log: acknowledged, and seen by no other process
PARENT_CLOSES_UNDER_ITS_CHILD = """
create()
ask, answer = os.pipe()

def in_child(close=lambda: None):
    close()
    asyncio.run(attempt("of the child", hold=lambda: os.read(ask, 1)))

def wait_and_look(child):
    os.write(answer, b"x")
    os.waitpid(child, 0)
    say("rows:", rows())
"""
PLAIN_PARENT = f"""{PARENT_CLOSES_UNDER_ITS_CHILD}
conn = sqlite3.connect(path, isolation_level=None)
conn.execute("INSERT INTO t VALUES ('of the parent')")
"""

MAY_NOT = {
    "what its parent had open": f"""{PARENT_CLOSES_UNDER_ITS_CHILD}
async def main():
    async with aiomemdb.connect(path) as db:
        await db.write("INSERT INTO t VALUES ('of the parent')")
        return fork(in_child)

wait_and_look(asyncio.run(main()))
""",
    "what its parent had open by sqlite3": f"""{PLAIN_PARENT}
child = fork(in_child)
conn.close()
wait_and_look(child)
""",
    "what its parent's parent had open": f"""{PLAIN_PARENT}
child = fork(lambda: os.waitpid(fork(in_child), 0))
conn.close()
wait_and_look(child)
""",
    "that, where no folder lists the descriptors": f"""{PLAIN_PARENT}
def listdir(path):
    raise FileNotFoundError(path)

os.listdir = listdir
child = fork(in_child)
conn.close()
wait_and_look(child)
""",
}

MAY = {
    "what its parent had open, once it has closed its copies": f"""{PLAIN_PARENT}
wait_and_look(fork(lambda: in_child(conn.close)))
conn.close()
""",
    "what its parent opened later": f"""{PARENT_CLOSES_UNDER_ITS_CHILD}
opened, has_opened = os.pipe()
child = fork(lambda: in_child(lambda: os.read(opened, 1)))

async def main():
    async with aiomemdb.connect(path) as db:
        os.write(has_opened, b"x")
        await db.write("INSERT INTO t VALUES ('of the parent')")

asyncio.run(main())
wait_and_look(child)
""",
    "another file": """
create()
conn = sqlite3.connect(path)
conn.execute("SELECT * FROM t").fetchall()
path += ".other"
create()
os.waitpid(fork(lambda: asyncio.run(attempt("of the child"))), 0)
say("rows:", rows())
conn.close()
""",
    "a file, though it was forked while a thread opened one": """
create()
import aiomemdb.sqlite.file.hazards
aiomemdb.sqlite.file.hazards._holding.acquire()
os.waitpid(fork(lambda: asyncio.run(attempt("of the child"))), 0)
say("rows:", rows())
""",
    "a file twice": """
create()

async def of_child():
    async with aiomemdb.connect(path):
        await attempt("of the child")

os.waitpid(fork(lambda: asyncio.run(of_child())), 0)
say("rows:", rows())
""",
}


@pytest.mark.parametrize("what", MAY_NOT)
async def test_a_forked_child_may_not_open(db_path: Path, what: str) -> None:
    assert await lines_of(MAY_NOT[what], db_path) == ["ForkedError False", "rows: of the parent"]


@pytest.mark.parametrize("what", MAY)
async def test_a_forked_child_may_open(db_path: Path, what: str) -> None:
    rows = "of the parent of the child" if "of the parent" in MAY[what] else "of the child"
    assert await lines_of(MAY[what], db_path) == ["wrote of the child", f"rows: {rows}"]


# -- a second SQLite library -------------------------------------------------------------------------------------

# Two libraries in one process hold the same locks and don't hinder each other. Either one's last close removes the log
# under the other.
SECOND_LIBRARY = """
import apsw
import aiomemdb.sqlite.file.files

assert apsw.sqlite_lib_version() != sqlite3.sqlite_version, "apsw uses the library of sqlite3: nothing is tested"

# Looks at each commit, without waiting for a second.
aiomemdb.sqlite.file.files._BETWEEN_LOOKS_AT_PROCESS = 0.0
aiomemdb.sqlite.file.files._SHARE_OF_LOOKS_AT_PROCESS = float("inf")

async def outcome(awaitable):
    try:
        await awaitable
        return "applied"
    except aiomemdb.AiomemdbError as error:
        return f"{type(error).__name__} {error.applied}"

create()
"""


@pytest.mark.parametrize("options", ["", "read_only=True"])
async def test_a_file_that_a_second_library_has_open_is_refused_and_its_log_left_in_place(
    db_path: Path, options: str
) -> None:
    lines = await lines_of(
        SECOND_LIBRARY
        + f"""
async def main():
    conn = apsw.Connection(path)
    conn.execute("INSERT INTO t VALUES ('before')")
    try:
        async with aiomemdb.connect(path, {options}):
            say("opened")
    except aiomemdb.AiomemdbError as error:
        say(type(error).__name__, error.applied, "second SQLite library" in str(error))
    conn.execute("INSERT INTO t VALUES ('after')")
    say("rows:", rows())

asyncio.run(main())
""",
        db_path,
    )
    assert lines == ["AiomemdbError False True", "rows: before after"]


async def test_the_writer_stops_when_a_second_library_opens_the_file_later(db_path: Path) -> None:
    lines = await lines_of(
        SECOND_LIBRARY
        + """
async def main():
    async with aiomemdb.connect(path) as db:
        say(await outcome(db.write("INSERT INTO t VALUES ('before')")))
        conn = apsw.Connection(path)
        conn.execute("INSERT INTO t VALUES ('of the other')")
        say(await outcome(db.write("INSERT INTO t VALUES ('unknown')")))
        say(await outcome(db.write("INSERT INTO t VALUES ('refused')")))
        say(await db.read_value("SELECT min(x) FROM t"))
    conn.execute("INSERT INTO t VALUES ('of the other, later')")
    say("rows:", rows())

asyncio.run(main())
""",
        db_path,
    )
    assert lines == [
        "applied",
        "CommitOutcomeUnknown None",
        "DatabaseReplaced False",
        "before",
        "rows: before of the other unknown of the other, later",
    ]


async def test_connections_of_one_library_however_many_are_no_second_library(db_path: Path) -> None:
    lines = await lines_of(
        SECOND_LIBRARY
        + """
async def main():
    plain = sqlite3.connect(path, isolation_level=None)
    plain.execute("INSERT INTO t VALUES (1)")
    async with aiomemdb.connect(path) as one, aiomemdb.connect(path, readers=2) as two:
        later = sqlite3.connect(path, isolation_level=None)
        later.execute("INSERT INTO t VALUES (2)")
        say(await outcome(one.write("INSERT INTO t VALUES (3)")), await outcome(two.write("INSERT INTO t VALUES (4)")))
        plain.close()
        say(await outcome(one.write("INSERT INTO t VALUES (5)")))
        later.close()
    say("rows:", rows())

asyncio.run(main())
""",
        db_path,
    )
    assert lines == ["applied applied", "applied", "rows: 1 2 3 4 5"]


async def test_a_second_library_may_open_another_file_or_the_same_one_afterwards(db_path: Path) -> None:
    lines = await lines_of(
        SECOND_LIBRARY
        + """
async def main():
    other = apsw.Connection(path + ".other")
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("CREATE TABLE t (x)")
    async with aiomemdb.connect(path) as db:
        say(await outcome(db.write("INSERT INTO t VALUES (1)")))
    conn = apsw.Connection(path)
    conn.execute("INSERT INTO t VALUES (2)")
    conn.close()
    await attempt(3)

asyncio.run(main())
""",
        db_path,
    )
    assert lines == ["applied", "wrote 3"]
    assert plain(db_path, "SELECT x FROM t") == [(1,), (2,), (3,)]


async def test_opening_the_logs_index_by_hand_stops_the_writer_too(db_path: Path) -> None:
    lines = await lines_of(
        SECOND_LIBRARY
        + """
async def main():
    async with aiomemdb.connect(path) as db:
        with open(path + "-shm", "rb"):
            say(await outcome(db.write("INSERT INTO t VALUES (1)")))

asyncio.run(main())
""",
        db_path,
    )
    assert lines == ["CommitOutcomeUnknown None"]


# -- a descriptor closed by hand ---------------------------------------------------------------------------------


def beside(path: Path, code: str) -> str:
    """What a program of sqlite3 alone prints, which has the database open as ``conn`` and closes it at the end."""
    opened = "import sqlite3, sys\nconn = sqlite3.connect(sys.argv[1], timeout=0.1, isolation_level=None)"
    code = f"{opened}\n{code}\nconn.close()"
    ended = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def trap(path: Path, suffix: str) -> None:
    """Drops all locks that this process has on the file: POSIX's rule."""
    with open(f"{path}{suffix}", "rb"):
        pass


def copy_folder(path: Path, _: str) -> None:
    shutil.copytree(path.parent, path.parent.with_name("copy"))


WRITE_AND_CLOSE = "conn.execute(\"INSERT INTO t VALUES ('of the other')\")"
LOOK = "print([x for x, in conn.execute('SELECT x FROM t')])"

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="locks of open file descriptions")


@on_linux
@pytest.mark.parametrize(
    ("drop_locks", "suffix"),
    [(trap, ""), (trap, "-wal"), (trap, "-shm"), (copy_folder, "")],
    ids=["the file read and closed", "its log", "the log's index", "the folder copied"],
)
async def test_nothing_is_lost_when_a_descriptor_of_the_files_is_closed_by_hand(
    db_path: Path, drop_locks: Callable[[Path, str], None], suffix: str
) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        await db.write(INSERT, ("before",))
        drop_locks(db_path, suffix)
        beside(db_path, WRITE_AND_CLOSE)
        await db.write(INSERT, ("after",))
        expected = ["before", "of the other", "after"]
        assert beside(db_path, LOOK) == str(expected)
        assert [row["x"] for row in await db.read("SELECT x FROM t")] == expected
    assert os.listdir(db_path.parent).count("test.db-wal") == 0  # the last one could remove it
    assert_healthy(db_path)


@on_linux
async def test_a_transaction_is_whole_though_its_locks_on_the_file_are_dropped_meanwhile(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        async with db.transaction() as tx:
            await tx.write(INSERT, (1,))
            trap(db_path, "")
            beside(db_path, LOOK)
            await tx.write(INSERT, (2,))
        assert beside(db_path, LOOK) == "[1, 2]"


@on_linux
async def test_a_reader_alone_keeps_its_log_too(db_path: Path) -> None:
    beside(db_path, "conn.execute('PRAGMA journal_mode=WAL'); conn.execute('CREATE TABLE t (x)')")
    async with aiomemdb.connect(db_path, read_only=True) as db:
        assert await db.read_value("SELECT count(*) FROM t") == 0
        trap(db_path, "")
        beside(db_path, WRITE_AND_CLOSE)
        beside(db_path, WRITE_AND_CLOSE)
        assert await db.read_value("SELECT count(*) FROM t") == 2


@on_linux
async def test_closing_one_of_two_handles_leaves_the_other_its_log(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        async with aiomemdb.connect(db_path) as two:
            await two.write(INSERT, ("two",))
        trap(db_path, "")
        beside(db_path, WRITE_AND_CLOSE)
        await db.write(INSERT, ("one",))
        assert beside(db_path, LOOK) == "['two', 'of the other', 'one']"


@on_linux
async def test_a_live_index_of_the_log_is_not_cut_by_the_next_program_that_opens_it(db_path: Path) -> None:
    # Who takes itself for the first one cuts it to nothing and makes it anew, with its counter of changes at 0
    # (https://www.sqlite.org/walformat.html, 2.1). A read of pages that are cut off ends this process (SIGBUS).
    count = (
        "shm = open(sys.argv[1] + '-shm', 'rb', buffering=0)\n"
        "def count(): shm.seek(8); return int.from_bytes(shm.read(4), sys.byteorder)\n"
    )
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        await db.write(INSERT, (1,))
        trap(db_path, "-shm")
        before, after = beside(db_path, f"{count}print(count())\n{LOOK}\nprint(count())").splitlines()[::2]
        assert before == after != "0"


@on_linux
async def test_a_file_without_a_log_is_not_kept_from_those_who_write_it(db_path: Path) -> None:
    beside(db_path, "conn.execute('CREATE TABLE t (x)')")
    Path(f"{db_path}-shm").touch()  # another program has left it there
    async with aiomemdb.connect(db_path, read_only=True) as db:
        assert await db.read_value("SELECT count(*) FROM t") == 0
        beside(db_path, WRITE_AND_CLOSE)
        assert await db.read_value("SELECT count(*) FROM t") == 1


@on_linux
async def test_a_child_that_outlives_its_parent_does_not_keep_others_from_removing_the_log(db_path: Path) -> None:
    lines = await lines_of(
        """
create()
ask, answer = os.pipe()

async def main():
    async with aiomemdb.connect(path) as db:
        await db.write("INSERT INTO t VALUES (1)")
        return fork(lambda: os.read(ask, 1))

child = asyncio.run(main())
say(os.path.exists(path + "-wal"))
os.write(answer, b"x")
os.waitpid(child, 0)
""",
        db_path,
    )
    assert lines == ["False"]


# -- changed under several processes -----------------------------------------------------------------------------

# Three processes have it open and have each written a row. Then it is changed, and they go on one after another: each
# says how many more writes were applied, and what its first failed one and the one after that answered.
THREE_PROCESSES = """
import shutil

create()
folder = os.path.dirname(path)
backup = folder + ".backup"
shutil.copyfile(path, backup)

async def outcome(db):
    try:
        await db.write("INSERT INTO t VALUES (1)")
    except aiomemdb.AiomemdbError as error:
        return f"{type(error).__name__} {error.applied}"

async def of_child(ready, go):
    async with aiomemdb.connect(path) as db:
        assert await outcome(db) is None
        os.write(ready, b"x")
        os.read(go, 1)
        applied = 0
        while (failed := await outcome(db)) is None:
            applied += 1
        say(applied, failed, await outcome(db), await db.read_value("SELECT count(*) > 0 FROM t"))

def start():
    (told, ready), (go, let_go) = os.pipe(), os.pipe()
    pid = fork(lambda: asyncio.run(of_child(ready, go)))
    assert os.read(told, 1) == b"x"
    return pid, let_go

children = [start() for _ in range(3)]
{change}
for pid, let_go in children:
    os.write(let_go, b"x")
    os.waitpid(pid, 0)
{restore}
"""
BY_RENAME = "shutil.copyfile(backup, path + '.new'); os.replace(path + '.new', path)"
REMOVED_FIRST = "[os.unlink(path + suffix) for suffix in ('', '-wal', '-shm')]; shutil.copyfile(backup, path)"


@pytest.mark.parametrize(
    ("change", "restore"),
    [
        ("os.unlink(path)", BY_RENAME),
        ("os.unlink(path + '-wal')", ""),
        ("os.unlink(path + '-shm')", ""),
        (BY_RENAME, ""),
        (REMOVED_FIRST, ""),
        ("os.rename(path, path + '.away')", "os.rename(path + '.away', path)"),
    ],
    ids=["removed", "log removed", "index removed", "restored by rename", "removed and restored", "moved away"],
)
async def test_each_process_stops_at_its_next_write_when_the_file_is_changed_under_all(
    db_path: Path, change: str, restore: str
) -> None:
    script = THREE_PROCESSES.replace("{change}", change).replace("{restore}", restore)
    assert await lines_of(script, db_path) == ["0 CommitOutcomeUnknown None DatabaseReplaced False 1"] * 3


async def test_each_process_stops_soon_when_the_whole_folder_is_moved_away_and_its_rows_moved_along(
    tmp_path: Path,
) -> None:
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "test.db"
    away, back = "os.rename(folder, folder + '.away')", "os.rename(folder + '.away', folder)"
    lines = await lines_of(THREE_PROCESSES.replace("{change}", away).replace("{restore}", back), path)
    assert [line.partition(" ")[2] for line in lines] == ["CommitOutcomeUnknown None DatabaseReplaced False 1"] * 3
    applied = sum(int(line.partition(" ")[0]) for line in lines)
    [(count,)] = plain(path, "SELECT count(*) FROM t")
    assert 3 + applied <= count <= 3 + applied + 3  # of each process one is unknown


async def test_closing_the_old_file_leaves_the_new_file_its_log(db_path: Path) -> None:
    # A log is removed by its name, which by now is that of the new file's.
    opened = "opened = sqlite3.connect(path, isolation_level=None); opened.execute('INSERT INTO t VALUES (2)')"
    script = THREE_PROCESSES.replace("{change}", f"{REMOVED_FIRST}; {opened}")
    lines = await lines_of(script.replace("{restore}", "say(os.path.exists(path + '-wal'), rows())"), db_path)
    assert lines[3:] == ["True 2"]


# -- mounts ------------------------------------------------------------------------------------------------------

MOUNTS = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
36 27 0:45 / /mnt/a\040share rw,nosuid shared:7 master:1 - nfs4 10.0.0.1:/export/a\040-\040b rw,vers=4.2
37 27 0:46 /x /srv\011tab rw - cifs //host/share rw
38 27 0:47 / /home/me/remote rw - fuse.sshfs me@host: rw,user_id=0
39 27 0:48 / /mnt/c rw - 9p C:\134 rw,dirsync
40 27 0:49 / /data rw - fakeowner /run/host_mark/Users rw
41 27 0:50 / /work rw - virtiofs share rw
42 27 0:51 / /var/lib/docker/overlay2 rw - overlay overlay rw,lowerdir=/l
43 27 0:52 / /tmp rw - tmpfs tmpfs rw
44 27 8:1 / /disk rw - xfs /dev/sda1 rw
45 27 0:53 / /stick rw - fuseblk /dev/sdb1 rw
46 27 0:54 /@ /b rw - btrfs /dev/sdc rw
"""


def test_mount_points_are_read_with_their_escapes() -> None:
    expected = {"/", "/proc", "/mnt/a share", "/srv\ttab", "/home/me/remote", "/mnt/c", "/data", "/work", "/tmp"}
    assert mount_points(MOUNTS) == expected | {"/var/lib/docker/overlay2", "/disk", "/stick", "/b"}
    assert mount_points("1 2 0:45 / /a\\012b\\134\\0431\\12 rw - ext4 /dev/vda rw\n") == {"/a\nb\\#1\\12"}


@pytest.mark.parametrize("text", ["", "\n", "no table\n", "1 2 0:45 /"])
def test_a_table_of_mounts_that_is_cut_or_strange_names_no_mount_point(text: str) -> None:
    assert mount_points(text) == set()


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-lock", "-next"])
@pytest.mark.parametrize("read_only", [False, True])
async def test_a_file_that_was_mounted_without_its_folder_is_refused_and_left_as_it_is(
    db_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, read_only: bool
) -> None:
    sqlite3.connect(db_path).execute("CREATE TABLE t (x)").connection.close()
    before = names_in(db_path.parent), db_path.read_bytes()
    line = f"48 27 254:0 /agents.db {db_path}{suffix} rw - ext4 /dev/vda rw\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: MOUNTS + line)
    with pytest.raises(aiomemdb.AiomemdbError, match="mount the folder, not the file") as caught:
        await aiomemdb.connect(db_path, read_only=read_only)
    assert caught.value.applied is False
    assert (names_in(db_path.parent), db_path.read_bytes()) == before


async def test_a_mount_of_the_folder_or_of_another_file_in_it_is_none_of_the_database(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [db_path.parent, f"{db_path}.other", f"{db_path}-", db_path.name, f"{db_path}/"]
    lines = [f"48 27 254:0 / {name} rw - ext4 /dev/vda rw\n" for name in names]
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: MOUNTS + "".join(lines))
    async with aiomemdb.connect(db_path) as db:
        assert await db.read_value("SELECT 1") == 1


# In a mount namespace of its own, as a container has one; the file lies in two folders then.
IN_A_CONTAINER = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"']


def can_mount() -> bool:
    with contextlib.suppress(OSError):
        return subprocess.run(["unshare", "-m", "mount", "--bind", "/", "/"], capture_output=True).returncode == 0
    return False


@pytest.mark.parametrize("what", ["file", "folder"])
async def test_a_container_may_share_the_folder_and_not_the_file_alone(tmp_path: Path, what: str) -> None:
    if not can_mount():
        pytest.skip("only root may mount")
    host, inside = tmp_path / "on the host", tmp_path / "in the container"
    for folder in (host, inside):
        folder.mkdir()
        (folder / "test.db").touch()
    (inside / "link.db").symlink_to("test.db")
    name = "test.db" if what == "file" else ""
    opening = """
import asyncio, sys
import aiomemdb

async def main():
    async with aiomemdb.connect(sys.argv[1]) as db:
        await db.write("CREATE TABLE t (x)")
    print("opened")

try:
    asyncio.run(main())
except aiomemdb.AiomemdbError as error:
    print(error)
"""
    path = inside / ("link.db" if what == "file" else "test.db")
    command = [*IN_A_CONTAINER, host / name, inside / name, sys.executable, "-c", opening, path]
    ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert ended.stderr == ""
    if what == "file":
        assert ended.stdout.startswith(f"{inside / 'test.db'} was mounted alone")
        assert names_in(host) == ["test.db"] and names_in(inside) == ["link.db", "test.db"]
        assert (host / "test.db").read_bytes() == b""
    else:
        assert ended.stdout == "opened\n"
        assert plain(host / "test.db", "SELECT count(*) FROM t") == [(0,)]


# -- network file systems ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "kind"),
    [
        ((0, 45), "nfs4"),
        ((0, 46), "cifs"),
        ((0, 47), "fuse.sshfs"),
        ((0, 48), "9p"),
        ((0, 49), "fakeowner"),
        ((0, 50), "virtiofs"),
        ((254, 0), None),
        ((0, 51), None),
        ((0, 52), None),
        ((8, 1), None),
        ((0, 53), None),
        ((0, 54), None),
        ((0, 4), None),  # not in the table
    ],
)
def test_a_network_file_system_is_known_by_its_type(device: tuple[int, int], kind: str | None) -> None:
    assert network_file_system(os.makedev(*device), MOUNTS) == kind


@pytest.mark.parametrize("text", ["", "\n", "no table\n", "1 2 0:45", "1 2 0:45 / / rw - \n"])
def test_a_table_of_mounts_that_is_cut_or_strange_says_nothing(text: str) -> None:
    assert network_file_system(os.makedev(0, 45), text) is None


class Everything:
    """A set of all strings."""

    def __contains__(self, _: object) -> bool:
        return True


@pytest.mark.parametrize("there", [True, False])
async def test_opening_a_database_on_a_network_file_system_warns_with_the_reason(
    db_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    if there:
        sqlite3.connect(db_path).execute("CREATE TABLE t (x)").connection.close()
    monkeypatch.setattr("aiomemdb.sqlite.file.hazards._NETWORK_TYPES", Everything())
    with pytest.warns(RuntimeWarning, match="test.db lies on a network file system .*needs memory and locks"):
        db = await aiomemdb.connect(db_path)
    await db.close()


async def test_a_program_with_warnings_as_errors_does_not_open_it(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiomemdb.sqlite.file.hazards._NETWORK_TYPES", Everything())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning):
            await aiomemdb.connect(db_path)
    assert not db_path.with_name("test.db-wal").exists()


async def test_a_system_that_does_not_tell_its_mounts_gets_no_warning(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr("aiomemdb.sqlite.file.hazards._NETWORK_TYPES", Everything())
    monkeypatch.setattr(Path, "read_text", refuse)
    async with aiomemdb.connect(db_path) as db:  # warnings are errors here
        await db.read("SELECT 1")


# -- versions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [(3, 7, 0), (3, 40, 1), (3, 44, 5), (3, 45, 0), (3, 49, 2), (3, 50, 6), (3, 51, 2)])
def test_versions_that_can_corrupt_a_log(version: tuple[int, int, int]) -> None:
    assert has_wal_reset_bug(version)


@pytest.mark.parametrize(
    "version", [(3, 6, 23), (3, 44, 6), (3, 44, 9), (3, 50, 7), (3, 51, 3), (3, 52, 0), (3, 53, 0), (4, 0, 0)]
)
def test_versions_that_can_not(version: tuple[int, int, int]) -> None:
    assert not has_wal_reset_bug(version)


def test_the_version_asked_about_is_the_one_in_use() -> None:
    assert has_wal_reset_bug() is has_wal_reset_bug(sqlite3.sqlite_version_info[:3])
