"""What holds for every test: its event loop, its time limit, what it may leave over, how many may skip."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partialmethod
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import hypothesis
import pytest
import pytest_asyncio

from aiomemdb import AgentLimits
from tests.support.warm import Warm

# -- the event loop ------------------------------------------------------------------------------------------


def _loop_name() -> str:
    return os.environ.get("AIOMEMDB_TEST_LOOP") or ("uvloop" if find_spec("uvloop") else "asyncio")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """uvloop where it is installed, otherwise asyncio's own; AIOMEMDB_TEST_LOOP=asyncio (or uvloop) chooses."""
    match _loop_name():
        case "uvloop":
            import uvloop

            return {"uvloop": uvloop.new_event_loop}
        case "asyncio":
            return {"asyncio": asyncio.new_event_loop}
        case other:
            raise pytest.UsageError(f"AIOMEMDB_TEST_LOOP is {other!r}; it must be 'uvloop' or 'asyncio'")


# A shell that starts the tests in the background has them ignore Ctrl-C, and so would each program that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    return f"event loop: {_loop_name()}"


# -- time limits ---------------------------------------------------------------------------------------------
#
# pytest-timeout ends the run and shows where each thread stands. For a test that awaits what never comes that
# is only "in the loop"; so some time before, the loop itself prints its tasks.

_TIME_LIMIT = pytest.StashKey[float]()
_A_DAY = 86_400.0  # where there is no limit

# Hypothesis need not time single examples as well: on a busy machine that says nothing about the code. Nor does it say
# anything if chance has drawn many in a row that a test passes over: one that finds none at all fails anyway.
hypothesis.settings.register_profile(
    "suite",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much],
)
hypothesis.settings.load_profile("suite")


class _TimeoutSettings(Protocol):
    timeout: float


@pytest.fixture
def agents_have_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The 2 s that an agent's query may take by default are a promise to those beside it; a busy machine breaks it."""
    monkeypatch.setattr(AgentLimits, "__init__", partialmethod(AgentLimits.__init__, deadline=60.0))


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: _TimeoutSettings) -> None:
    item.stash[_TIME_LIMIT] = settings.timeout  # returns None: pytest-timeout then sets its own timer


def _print_tasks() -> None:
    for task in asyncio.all_tasks():
        print(file=sys.stderr)
        task.print_stack()


# -- nothing is left over ------------------------------------------------------------------------------------
#
# Fixtures are torn down in the reverse order of their set-up, and autouse ones are set up first:
#
#   set up        threads and files noted > the loop > the test's own fixtures
#   torn down     the test's own fixtures > tasks counted > the loop closed > threads and files compared
#
# So a database that is a fixture is closed before anything is counted, and the loop's own threads are gone.


_TIME_TO_END = 20.0  # s, for threads that are about to
_DESCRIPTORS = "/proc/self/fd"
_HAS_DESCRIPTORS = os.path.isdir(_DESCRIPTORS)  # nowhere but on Linux


@pytest.fixture(autouse=True)
def _no_thread_or_file_left_over() -> Iterator[None]:
    threads, files = set(threading.enumerate()), _open_files()
    yield
    deadline = time.monotonic() + _TIME_TO_END
    left = []
    for thread in set(threading.enumerate()) - threads:
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            left.append(f"thread {thread.name!r}, which stands at\n{_where(thread)}")
    left += [f"descriptor {fd} of {name}" for fd, name in sorted(_open_files() - files)]
    _fail_if_any(left)


@pytest.fixture(autouse=True)
def _no_task_left_over(_no_thread_or_file_left_over: None, request: pytest.FixtureRequest) -> None:
    # What looks is an asynchronous fixture, so that it runs on the test's loop. Other tests need no loop.
    if pytest_asyncio.is_async_test(request.node):
        request.getfixturevalue("_watched_loop")


@pytest.fixture
async def _watched_loop(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    limit = request.node.stash.get(_TIME_LIMIT, _A_DAY)
    alarm = asyncio.get_running_loop().call_later(0.75 * limit, _print_tasks)
    yield
    alarm.cancel()
    _fail_if_any([repr(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()])


def _fail_if_any(left: list[str]) -> None:
    if left:
        pytest.fail("the test left over:\n" + "\n".join(left), pytrace=False)


def _open_files() -> set[tuple[int, str]]:
    """The open descriptors that have a path, deleted files among them.

    Those without one (pipes, sockets, epoll) belong to event loops and child processes; libuv, for one, keeps
    a pipe for signals until the process ends.
    """
    open_files = set()
    for fd in os.listdir(_DESCRIPTORS) if _HAS_DESCRIPTORS else ():
        try:
            name = os.readlink(f"{_DESCRIPTORS}/{fd}")
        except FileNotFoundError:  # the descriptor by which the folder itself was listed
            continue
        if name.startswith("/"):
            open_files.add((int(fd), name))
    return open_files


def _where(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    return "".join(traceback.format_stack(frame, limit=4)) if frame else "(it has just ended)"


# -- garbage ------------------------------------------------------------------------------------------------


def pytest_collection_finish() -> None:
    # Thousands of collected tests are no garbage, and looking through them is a sixth of a second each time that a
    # test, or Python itself, collects what a test has left.
    gc.collect()
    gc.freeze()


# -- without a fast path --------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    if config.option.without:
        from tests.support.fast_paths import take_away

        take_away(config.option.without)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def needs_what_is_not_there(item: pytest.Item) -> bool:
        return any(mark.args[0] in config.option.without for mark in item.iter_markers("fast_path"))

    if without := [item for item in items if needs_what_is_not_there(item)]:
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if not needs_what_is_not_there(item)]


# -- no test skips unnoticed ---------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--figures", metavar="FILE", help="write what the campaigns of tests/faults did into this file of JSON"
    )
    parser.addoption(
        "--max-skips",
        type=int,
        default=os.environ.get("AIOMEMDB_MAX_SKIPS") or None,
        metavar="N",
        help="fail if more than N tests were skipped (default: AIOMEMDB_MAX_SKIPS, otherwise no limit)",
    )

    parser.addoption(
        "--on-postgres",
        action="store_true",
        help="of tests/memory, tests/mcp and tests/pageserver, what runs on PostgreSQL too, and there",
    )

    parser.addoption(
        "--without",
        action="append",
        default=[],
        metavar="PATH",
        help="run without this fast path (tests/support/fast_paths.py), in the process of the tests",
    )


def _too_many_skips(config: pytest.Config) -> str | None:
    limit, reporter = config.option.max_skips, config.pluginmanager.get_plugin("terminalreporter")
    if limit is None or reporter is None:
        return None
    skips = len(reporter.stats.get("skipped", ()))
    return f"tests skipped: {skips}, but at most {limit} may be" if skips > limit else None


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == pytest.ExitCode.OK and _too_many_skips(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if message := _too_many_skips(config):
        terminalreporter.line(message, red=True)


# -- fixtures ------------------------------------------------------------------------------------------------


_numbers = itertools.count()


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As pytest's own, which looks through the folders of all earlier tests: of thousands that takes some ms each."""
    name = re.sub(r"\W", "_", request.node.name)[:30]
    return tmp_path_factory.mktemp(f"{name}{next(_numbers)}", numbered=False)


@pytest.fixture
def db_path(tmp_path: Path) -> Path:
    """Where the test's database goes; there is no file yet."""
    return tmp_path / "test.db"


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """Runs programs without the cost of a new interpreter for each."""
    with Warm() as warm:
        yield warm
