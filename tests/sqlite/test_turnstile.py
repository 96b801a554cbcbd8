"""The turnstile alone: two of them in one process keep each other out as those of two processes do."""

from __future__ import annotations

import errno
import math
import os
import random
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from types import SimpleNamespace

import pytest

import aiomemdb
from aiomemdb import DatabaseClosed, LockTimeout
from aiomemdb.sqlite.file import holders
from aiomemdb.sqlite.file import turnstile as turnstile_module
from aiomemdb.sqlite.file.turnstile import Turnstile
from tests.support.others import OtherProcess
from tests.support.scripts import run_script

LONG = 20.0  # more than any wait here, less than a test's time limit
LOCK_FILES = ("-lock", "-next")

Make = Callable[[], Turnstile]


@pytest.fixture
def path(db_path: Path) -> Path:
    db_path.touch(0o600)
    return db_path


@pytest.fixture
def make(path: Path) -> Iterator[Make]:
    """Makes turnstiles of one database, which are closed at the end."""
    with ExitStack() as stack:

        def make() -> Turnstile:
            turnstile = stack.enter_context(closing(Turnstile(path)))
            turnstile.open()
            return turnstile

        yield make


@pytest.fixture
def other(path: Path) -> Iterator[OtherProcess]:
    """Another process with a turnstile of the same database, ``other``."""
    with OtherProcess(path) as process:
        process.do("other = Turnstile(path); other.open()")
        yield process


def is_free(turnstile: Turnstile) -> bool:
    """Whether it can have the turn at once; it is given back."""
    try:
        turnstile.acquire(0)
    except LockTimeout:
        return False
    turnstile.release()
    return True


class Waiting:
    """A turnstile that waits for its turn in a thread; ``began`` when it has been refused once."""

    def __init__(self, turnstile: Turnstile, timeout: float = LONG) -> None:
        self.error: BaseException | None = None
        self.give_up = False
        self._refused = threading.Event()
        self._turnstile = turnstile
        self._timeout = timeout
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()
        assert self._refused.wait(LONG)

    def _wait(self) -> None:
        try:
            self._turnstile.acquire(self._timeout, self._is_given_up)
        except BaseException as error:
            self.error = error

    def _is_given_up(self) -> bool:
        # Asked after each round of looking at the locks, so that -next has been tried by now.
        self._refused.set()
        return self.give_up

    def ends(self) -> Turnstile:
        self._thread.join(LONG)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error
        return self._turnstile


# -- turns -----------------------------------------------------------------------------------------------------------


def test_one_at_a_time_has_the_turn(make: Make) -> None:
    one, two = make(), make()
    one.acquire(0)
    assert one.held and not two.held
    with pytest.raises(LockTimeout):
        two.acquire(0)
    assert not two.held
    one.release()
    two.acquire(0)
    assert two.held and not one.held
    assert not is_free(one)


def test_a_turn_keeps_other_processes_out_and_theirs_keep_it_out(make: Make, other: OtherProcess) -> None:
    one = make()
    one.acquire(0)
    with pytest.raises(RuntimeError, match=r"^LockTimeout"):
        other.do("other.acquire(0)")
    one.release()
    other.do("other.acquire(0)")
    assert not is_free(one)
    other.do("other.release()")
    assert is_free(one)


def test_turns_of_other_databases_are_others(make: Make, tmp_path: Path) -> None:
    (tmp_path / "b.db").touch()
    make().acquire(0)
    with closing(Turnstile(tmp_path / "b.db")) as of_b:
        of_b.open()
        of_b.acquire(0)


def test_a_waiter_gets_the_turn_when_it_ends(make: Make) -> None:
    one, two = make(), make()
    one.acquire(0)
    waiting = Waiting(two)
    assert not two.held
    one.release()
    assert waiting.ends().held
    assert two.waited > 0
    assert two.waited_max == two.waited


def test_many_threads_with_one_each_never_have_it_at_once(make: Make) -> None:
    inside: list[int] = []
    most, turns = 0, []

    def take_turns(number: int, turnstile: Turnstile) -> None:
        nonlocal most
        for _ in range(50):
            turnstile.acquire(LONG)
            inside.append(number)
            most = max(most, len(inside))
            inside.remove(number)
            turns.append(number)
            turnstile.release()

    threads = [threading.Thread(target=take_turns, args=(n, make())) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert sorted(turns) == sorted([*range(5)] * 50)


def test_a_turn_that_was_free_was_not_waited_for(make: Make) -> None:
    one, two = make(), make()
    one.acquire(0)
    with pytest.raises(LockTimeout):
        two.acquire(0.01)
    assert two.waited >= 0.01
    one.release()
    two.acquire(LONG)
    assert two.waited == 0.0
    assert two.waited_max >= 0.01


# Without -next, who has just ended a turn is awake and quickest to begin another one; all the others starve.
def test_a_process_that_ended_its_turn_cannot_overtake_a_waiter(make: Make) -> None:
    one, two = make(), make()
    one.acquire(0)
    waiting = Waiting(two)  # it has -next
    one.release()
    with pytest.raises(LockTimeout):
        # Either it is still the other one's to take, or the other one has it; by now it has not had and ended it.
        one.acquire(0)
    assert waiting.ends().held


def test_the_holder_lets_in_the_next_waiter_and_not_the_crowd_behind(make: Make) -> None:
    has_it, crowd = make(), make()
    has_it.acquire(0)
    following = [Waiting(make())]
    with pytest.raises(LockTimeout):
        crowd.acquire(0.05)
    has_it.release()
    assert following[0].ends().held


def test_releasing_what_it_has_not_ends_no_turn(make: Make) -> None:
    one, two = make(), make()
    one.acquire(0)
    two.release()
    assert not is_free(two)


# -- ends of a wait --------------------------------------------------------------------------------------------------


def test_a_wait_that_is_given_up_ends_and_leaves_nothing_taken(make: Make) -> None:
    one, two, three = make(), make(), make()
    one.acquire(0)
    waiting = Waiting(two)
    waiting.give_up = True
    with pytest.raises(DatabaseClosed):
        waiting.ends()
    assert not two.held
    third = Waiting(three)  # gets -next, or would wait for ever
    one.release()
    assert third.ends().held


def test_a_timeout_leaves_nothing_taken(make: Make) -> None:
    one, two, three = make(), make(), make()
    one.acquire(0)
    with pytest.raises(LockTimeout) as caught:
        two.acquire(0.01)
    assert caught.value.applied is False
    one.release()
    assert is_free(three)
    assert is_free(one)


def test_a_lock_that_fails_leaves_nothing_taken(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = make(), make()
    flock = turnstile_module.fcntl.flock

    def fail_on_lock(descriptor: int, operation: int) -> None:
        if descriptor == one._lock and operation != turnstile_module.fcntl.LOCK_UN:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        flock(descriptor, operation)

    monkeypatch.setattr(turnstile_module.fcntl, "flock", fail_on_lock)
    with pytest.raises(OSError, match="No locks available"):
        one.acquire(0)
    assert is_free(two)


def test_the_timeout_names_the_process_that_has_the_turn(make: Make, other: OtherProcess, path: Path) -> None:
    other.do("other.acquire(0)")
    with pytest.raises(
        LockTimeout, match=f"^process {other.pid} .* has kept the turn to write {path} for 0.01 s"
    ) as it:
        make().acquire(0.01)
    assert "stopped" not in str(it.value)


def test_the_timeout_says_that_the_process_which_has_the_turn_is_stopped(make: Make, other: OtherProcess) -> None:
    other.do("other.acquire(0)")
    other.stop()
    one = make()
    with pytest.raises(LockTimeout, match=f"^process {other.pid} .*, which is stopped, has kept the turn"):
        one.acquire(0.01)
    other.go_on()
    other.do("other.release()")
    assert is_free(one)


def test_the_timeout_names_the_process_that_was_stopped_while_it_was_next(make: Make, other: OtherProcess) -> None:
    holder = make()
    holder.acquire(0)
    other.do(
        "import threading; refused = threading.Event();"
        "threading.Thread(target=other.acquire, args=(50, lambda: refused.set()), daemon=True).start(); refused.wait()"
    )
    other.stop()
    holder.release()
    with pytest.raises(LockTimeout, match=f"^process {other.pid} .*, which is stopped, has kept the turn"):
        make().acquire(0.01)


def test_where_the_system_does_not_tell_who_it_is_the_timeout_still_comes(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "no /proc here")

    one, two = make(), make()
    one.acquire(0)
    monkeypatch.setattr(holders, "open", refuse, raising=False)
    with pytest.raises(LockTimeout, match=r"^another process has kept the turn"):
        two.acquire(0)


def test_a_killed_holder_leaves_the_turn_free(make: Make, other: OtherProcess) -> None:
    other.do("other.acquire(0)")
    one = make()
    assert not is_free(one)
    other.kill()
    assert is_free(one)


def test_a_killed_waiter_leaves_the_turn_and_the_next_one_free(make: Make, other: OtherProcess) -> None:
    one, two = make(), make()
    one.acquire(0)
    other.do(
        "import threading; refused = threading.Event();"
        "threading.Thread(target=other.acquire, args=(60, lambda: refused.set()), daemon=True).start()"
    )
    assert other.do("refused.wait(20)")
    other.kill()
    one.release()
    assert is_free(two)


def test_a_waiter_gets_the_turn_of_a_holder_that_is_killed(make: Make, other: OtherProcess) -> None:
    other.do("other.acquire(0)")
    waiting = Waiting(make())
    other.kill()
    assert waiting.ends().held


# -- the lock files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deleted", [("-lock",), ("-next",), LOCK_FILES], ids=" and ".join)
def test_deleted_lock_files_are_made_anew_and_all_keep_each_other_out(
    make: Make, path: Path, deleted: tuple[str, ...]
) -> None:
    one, two = make(), make()
    for suffix in deleted:
        os.unlink(f"{path}{suffix}")
    one.look()
    two.look()
    three = make()
    for first, second, third in [(one, two, three), (three, one, two), (two, three, one)]:
        first.acquire(0)
        assert not is_free(second)
        assert not is_free(third)
        first.release()
    assert [suffix for suffix in LOCK_FILES if not os.path.exists(f"{path}{suffix}")] == []


def rename(name: str) -> None:
    os.rename(name, f"{name}.old")


def leave_another_link(name: str) -> None:
    os.link(name, f"{name}.old")
    os.unlink(name)


def replace_by_a_copy(name: str) -> None:
    Path(f"{name}.new").touch()
    os.replace(f"{name}.new", name)


@pytest.mark.parametrize("suffix", LOCK_FILES)
@pytest.mark.parametrize("move", [rename, leave_another_link, replace_by_a_copy])
def test_lock_files_that_no_longer_have_their_names_are_found_out(
    make: Make, path: Path, move: Callable[[str], None], suffix: str
) -> None:
    one = make()
    move(f"{path}{suffix}")
    one.look()
    one.acquire(0)
    assert not is_free(make())


def test_a_turn_at_lock_files_that_were_deleted_goes_on_to_its_end(make: Make, path: Path) -> None:
    one, two = make(), make()
    one.acquire(0)
    for suffix in LOCK_FILES:
        os.unlink(f"{path}{suffix}")
    one.look()
    assert one.held
    assert not is_free(two)
    one.release()
    one.acquire(0)
    assert not is_free(make())


def test_where_deleted_lock_files_cannot_be_made_anew_it_is_tried_at_each_turn(make: Make, path: Path) -> None:
    one = make()
    os.unlink(f"{path}-lock")
    os.mkdir(f"{path}-lock")
    one.look()
    for _ in range(2):
        with pytest.raises(IsADirectoryError):
            one.acquire(0)
    os.rmdir(f"{path}-lock")
    assert is_free(one)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o660, 0o666])
def test_lock_files_have_the_databases_mode_whatever_the_umask(path: Path, mode: int, umask: int) -> None:
    path.chmod(mode)
    before = os.umask(umask)
    try:
        with closing(Turnstile(path)) as turnstile:
            turnstile.open()
    finally:
        os.umask(before)
    assert [stat.S_IMODE(os.stat(f"{path}{suffix}").st_mode) for suffix in LOCK_FILES] == [mode, mode]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_lock_files_that_root_makes_belong_to_the_databases_owner(path: Path) -> None:
    os.chown(path, 4321, 1234)
    with closing(Turnstile(path)) as turnstile:
        turnstile.open()
    owners = [(status.st_uid, status.st_gid) for status in (os.stat(f"{path}{suffix}") for suffix in LOCK_FILES)]
    assert owners == [(4321, 1234)] * 2


def test_lock_files_of_a_database_of_a_group_serve_the_whole_group(path: Path) -> None:
    os.chown(path, 4321, 1234)
    os.chmod(path, 0o660)
    os.chmod(path.parent, 0o777)
    if not (pid := os.fork()):  # a user of that group makes them
        try:
            os.chdir(path.parent)  # there is no way for him from the root
            os.setgroups([1234])
            os.setegid(4321)
            os.seteuid(4321)
            Turnstile(Path(path.name)).open()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    made = [os.stat(f"{path}{suffix}") for suffix in LOCK_FILES]
    assert [(status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) for status in made] == [
        (4321, 1234, 0o660)
    ] * 2


def test_lock_files_that_are_there_keep_their_mode(make: Make, path: Path) -> None:
    make()
    os.chmod(f"{path}-lock", 0o666)
    make()
    assert stat.S_IMODE(os.stat(f"{path}-lock").st_mode) == 0o666


IN_THE_PLACE: dict[str, tuple[Callable[[str], object], int]] = {
    "a folder": (os.mkdir, errno.EISDIR),
    "a FIFO": (os.mkfifo, errno.EINVAL),
    "a symbolic link": (lambda name: os.symlink("elsewhere", name), errno.ELOOP),
    "a symbolic link to a file": (lambda name: os.symlink("test.db", name), errno.ELOOP),
}


@pytest.mark.parametrize("suffix", LOCK_FILES)
@pytest.mark.parametrize("what", IN_THE_PLACE)
async def test_anything_else_in_the_place_of_a_lock_file_is_an_error_that_names_it(
    db_path: Path, what: str, suffix: str
) -> None:
    put, number = IN_THE_PLACE[what]
    put(f"{db_path}{suffix}")
    with pytest.raises(OSError) as caught:
        await aiomemdb.connect(db_path)
    assert caught.value.errno == number
    assert str(caught.value.filename) == f"{db_path}{suffix}"
    assert not (db_path.parent / "elsewhere").exists()


def test_nothing_is_written_into_lock_files_but_notes(make: Make, path: Path) -> None:
    one = make()
    one.acquire(0)
    one.release()
    assert [os.path.getsize(f"{path}{suffix}") for suffix in LOCK_FILES] == [72, 0]


# -- who else had turns -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_turns_of_others_are_always_known_and_not_for_long(
    make: Make, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    now = 1000.0
    monkeypatch.setattr(turnstile_module, "time", SimpleNamespace(monotonic=lambda: now))
    chance, valid = random.Random(seed), turnstile_module._ANNOUNCED_FOR
    pauses = [0.0, valid / 20, valid / 9, valid / 3, valid * 0.99, valid, valid * 1.01, valid * 3]
    turnstiles = [make() for _ in range(3)]
    looked_at, had_turn_at, known = [now] * 3, [now] * 3, [0, 0]
    first_look_after = [[math.inf] * 3 for _ in turnstiles]  # of this one, after the latest turn of that one
    for _ in range(2000):
        now += chance.choice(pauses)
        this = chance.choice([0, 0, 0, 0, 0, 1, 1, 2])
        is_time = turnstiles[this].acquire(0)
        now += chance.choice([0, 0, 0, valid / 5, valid * 2])  # it commits somewhere in its turn
        had_turn_at[this] = now
        for looks in first_look_after:
            looks[this] = math.inf
        if is_time:
            first_look_after[this] = [min(now, look) for look in first_look_after[this]]
            since = looked_at[this]
            told = turnstiles[this].others_since(since)
            others = [other for other in range(3) if other != this]
            assert told or all(had_turn_at[other] <= since for other in others)
            assert not told or any(since < first_look_after[this][other] + valid for other in others)
            known[told] += 1
            looked_at[this] = now
        turnstiles[this].release()
    assert min(known) > 100


# -- systems without such locks --------------------------------------------------------------------------------------


async def test_a_system_without_flock_is_a_clear_error_when_it_is_opened(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turnstile_module, "fcntl", None)
    with pytest.raises(OSError, match="this system has no flock") as caught:
        await aiomemdb.connect(db_path)
    assert caught.value.errno == errno.ENOTSUP


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS])
async def test_a_file_system_without_flock_is_a_clear_error_when_it_is_opened(
    db_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(turnstile_module.fcntl, "flock", fail)
    with pytest.raises(OSError, match=r"the file system of this database has no flock.*use a local disk") as caught:
        await aiomemdb.connect(db_path)
    assert caught.value.errno == number
    assert str(caught.value.filename) == str(db_path)


async def test_a_system_without_flock_still_opens_for_reading(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
    monkeypatch.setattr(turnstile_module, "fcntl", None)
    async with aiomemdb.connect(db_path, read_only=True) as db:
        assert await db.read("SELECT * FROM t") == []


# -- forks -----------------------------------------------------------------------------------------------------------

FORK = """
import os, signal, sys
from aiomemdb.sqlite.file.turnstile import Turnstile

def said(call):
    os.write(1, f"{call()}\\n".encode())

def free(turnstile):
    try:
        turnstile.acquire(0)
    except TimeoutError:
        return False
    turnstile.release()
    return True

path = sys.argv[1]
mine, second = Turnstile(path), Turnstile(path)
mine.open()
second.open()
mine.acquire(0)
"""


def test_a_forked_child_has_no_copy_and_the_parents_turn_goes_on(path: Path) -> None:
    ended = run_script(
        FORK
        + """
if not (pid := os.fork()):
    names = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    said(lambda: [name for name in names if name.startswith(path)])
    said(lambda: mine.held)
    mine.release()
    mine.close()
    another = Turnstile(path)
    another.open()
    said(lambda: free(another))
    os._exit(0)
os.waitpid(pid, 0)
said(lambda: free(second))
said(lambda: mine.held)
mine.release()
said(lambda: free(second))
""",
        path,
    )
    ended.assert_ok()
    assert ended.stdout.split() == ["[]", "False", "False", "False", "True", "True"]


def test_a_child_that_outlives_its_killed_parent_does_not_keep_the_turn(make: Make, path: Path) -> None:
    ended = run_script(
        FORK
        + """
inherited, told = os.pipe()
if not (pid := os.fork()):
    os.close(told)
    signal.alarm(120)
    said(os.getpid)
    os.close(1)
    os.read(inherited, 1)  # it lives on until the reading test kills it
    signal.pause()
os.kill(os.getpid(), signal.SIGKILL)
""",
        path,
    )
    assert ended.returncode == -signal.SIGKILL
    try:
        assert is_free(make())
    finally:
        os.kill(int(ended.stdout), signal.SIGKILL)


def test_a_child_forked_while_a_thread_opens_and_closes_lock_files_inherits_none(path: Path) -> None:
    ended = run_script(
        """
import os, sys, threading
from aiomemdb.sqlite.file.turnstile import Turnstile

path, ending = sys.argv[1], threading.Event()

def open_and_close():
    while not ending.is_set():
        turnstile = Turnstile(path)
        turnstile.open()
        turnstile.close()

thread = threading.Thread(target=open_and_close)
thread.start()
inherited = 0
for _ in range(200):
    if not (pid := os.fork()):
        names = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
        os._exit(any(name.startswith(path) for name in names))
    inherited += os.waitpid(pid, 0)[1] != 0
ending.set()
thread.join()
print(inherited)
""",
        path,
    )
    ended.assert_ok()
    assert ended.stdout.split() == ["0"]


# -- the crowd -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("usual_wait", [0.0, 0.15, 1.25])
def test_a_process_that_has_waited_long_looks_more_often_than_a_newcomer(usual_wait: float) -> None:
    pauses = [
        [turnstile_module._pause_in_crowd(times * max(usual_wait, 0.15), usual_wait) for _ in range(2000)]
        for times in (0, 1, 2)
    ]
    came, usual, late = (sum(some) / len(some) for some in pauses)
    assert came > 2 * usual
    assert usual > 1.2 * late


def test_what_all_usually_wait_is_known_to_each(make: Make, other: OtherProcess) -> None:
    one, two, three = make(), make(), make()
    one.acquire(0)
    waiting = Waiting(two)
    behind = Waiting(three)
    one.release()
    waiting.ends().release()
    behind.ends().release()
    passed, usual_wait = other.do("other._read_crowd()")
    assert passed == 2
    assert usual_wait > 0


@pytest.mark.parametrize("noted", [b"", b"123", b"\xff" * 16, b"\0" * 8 + b"\xff" * 8, b"x" * 100])
def test_whatever_stands_in_the_files_the_crowd_has_its_turns(make: Make, path: Path, noted: bytes) -> None:
    one, two, three = make(), make(), make()
    Path(f"{path}-next").write_bytes(noted)
    one.acquire(0)
    waiting = [Waiting(two), Waiting(three)]
    one.release()
    for each in waiting:
        each.ends().release()


def test_on_a_full_disk_the_crowd_has_its_turns(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    one, two = make(), make()
    one.acquire(0)
    monkeypatch.setattr(os, "pwrite", fail)
    waiting = Waiting(two)
    one.release()
    waiting.ends()


# -- notes -----------------------------------------------------------------------------------------------------------


def test_a_note_is_read_by_who_has_the_turn_next(make: Make, other: OtherProcess) -> None:
    one = make()
    assert one.read_note() == b""
    one.acquire(0)
    one.write_note(b"4096 12")
    one.release()
    other.do("other.acquire(0)")
    assert other.do("other.read_note().decode()") == "4096 12"
    other.do("other.write_note(b'7')")
    assert one.read_note() == b"7"


def test_a_note_is_lost_with_its_file_and_nothing_else_is(make: Make, path: Path) -> None:
    one = make()
    one.acquire(0)
    one.write_note(b"4096 12")
    one.release()
    os.unlink(f"{path}-lock")
    one.look()
    one.acquire(0)
    assert one.read_note() == b""


# -- closing ---------------------------------------------------------------------------------------------------------


def test_closing_returns_the_turn_and_may_be_done_twice(make: Make) -> None:
    one, two = make(), make()
    one.acquire(0)
    one.close()
    assert not one.held
    assert is_free(two)
    reused = os.open(os.devnull, os.O_RDONLY)  # gets the number of a descriptor that was closed
    one.close()
    one.release()
    os.close(reused)


def test_a_turnstile_that_is_garbage_collected_releases_its_turn(make: Make, path: Path) -> None:
    forgotten = Turnstile(path)
    forgotten.open()
    forgotten.acquire(0)
    two = make()
    assert not is_free(two)
    del forgotten
    assert is_free(two)


def test_a_turnstile_that_was_never_opened_closes(path: Path) -> None:
    Turnstile(path).close()
    closed: list[int] = []
    Turnstile(path).end(lambda: closed.append(1))
    assert closed == [1]


def test_what_is_closed_at_the_end_is_closed_in_a_turn_even_where_closing_fails(make: Make) -> None:
    one, two = make(), make()

    def close() -> None:
        assert one.held
        assert not is_free(two)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        one.end(close)
    assert not one.held
    assert is_free(two)


def test_what_is_closed_at_the_end_is_closed_although_another_keeps_the_turn(make: Make) -> None:
    one, two = make(), make()
    one.acquire(0)
    closed: list[bool] = []
    two.end(lambda: closed.append(two.held))
    assert closed == [False]
    assert one.held
    one.release()
    assert is_free(make())


@pytest.mark.parametrize("why", ["its time is up", "it was refused just now"])
def test_closing_does_not_wait_for_another_process_that_keeps_the_turn(
    make: Make, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    one, two = make(), make()
    one.acquire(0)
    if why == "its time is up":
        two.end_by = time.monotonic()
    else:
        assert not is_free(two)
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    two.end(lambda: None)
    assert pauses == []
