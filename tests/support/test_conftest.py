"""The guards of conftest.py, attacked: each inner run holds a test that should not get away with it."""

from __future__ import annotations

from pathlib import Path

import pytest

CONFTEST = (Path(__file__).parents[1] / "conftest.py").read_text()


@pytest.fixture
def inner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with this suite's conftest.py and no other influence of this run."""
    for name in ("AIOMEMDB_MAX_SKIPS", "AIOMEMDB_TEST_LOOP", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    pytester.makeconftest(CONFTEST + "\n_TIME_TO_END = 0.2  # a thread that is left over is waited for no longer\n")
    pytester.makeini("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    return pytester


def test_a_test_that_leaves_something_over_is_an_error_that_names_it(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        """
        import asyncio, threading

        kept = []

        def test_thread():
            threading.Thread(target=threading.Event().wait, name="forgotten-thread", daemon=True).start()

        def test_file(tmp_path):
            kept.append(open(tmp_path / "forgotten-file", "w"))

        async def test_task():
            kept.append(asyncio.create_task(asyncio.Event().wait(), name="forgotten-task"))

        async def test_a_neighbour_of_leaking_tests_is_not_blamed():
            pass
        """
    )
    result = inner.runpytest_subprocess()
    result.assert_outcomes(passed=4, errors=3)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_thread*",
            "thread 'forgotten-thread', which stands at",
            "*ERROR at teardown of test_file*",
            "descriptor * of */forgotten-file",
            "*ERROR at teardown of test_task*",
            "<Task pending name='forgotten-task' *",
        ]
    )


def test_what_fixtures_and_the_loop_itself_give_back_is_not_left_over(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        """
        import asyncio, threading
        import pytest

        @pytest.fixture
        async def busy(tmp_path):
            event = threading.Event()
            thread = threading.Thread(target=event.wait)
            thread.start()
            task = asyncio.create_task(asyncio.Event().wait())
            with open(tmp_path / "file", "w"):
                yield
            task.cancel()
            event.set()

        async def test_busy_fixture(busy):
            await asyncio.to_thread(int)

        def test_busy_fixture_in_a_synchronous_test(busy):
            pass
        """
    )
    inner.runpytest_subprocess().assert_outcomes(passed=2)


def test_a_test_that_hangs_ends_the_run_and_shows_what_it_awaited(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        """
        import asyncio

        async def test_hangs():
            await asyncio.Event().wait()  # for ever
        """
    )
    result = inner.runpytest_subprocess("--timeout=0.5", "--timeout-method=thread")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "await asyncio.Event().wait()  # for ever" in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize("name", ["uvloop", "asyncio"])
def test_the_loop_is_the_one_asked_for(inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("AIOMEMDB_TEST_LOOP", name)
    inner.makepyfile(
        f"""
        import asyncio

        async def test_loop():
            assert type(asyncio.get_running_loop()).__module__.split(".")[0] == "{name}"
        """
    )
    inner.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.parametrize(("limit", "exit_code"), [("1", pytest.ExitCode.TESTS_FAILED), ("2", pytest.ExitCode.OK)])
def test_more_skips_than_allowed_fail_the_run(
    inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, limit: str, exit_code: pytest.ExitCode
) -> None:
    monkeypatch.setenv("AIOMEMDB_MAX_SKIPS", limit)
    inner.makepyfile(
        test_one="import pytest\ndef test_one(): pytest.skip('here')\ndef test_passes(): pass",
        test_two="import pytest\npytest.skip('a whole file', allow_module_level=True)",
    )
    result = inner.runpytest_subprocess()
    assert result.ret == exit_code
    if exit_code:
        result.stdout.fnmatch_lines(["tests skipped: 2, but at most 1 may be"])
