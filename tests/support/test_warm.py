from __future__ import annotations

from tests.support.warm import Warm


def test_a_program_gets_its_arguments_and_input_and_ends_by_itself(warm: Warm) -> None:
    program = "import sys; print(__name__, sys.argv[1:], input()); print('x', file=sys.stderr); sys.exit(5)"
    ended = warm.run(program, "a", 1, input="line\n")
    assert (ended.returncode, ended.stdout, ended.stderr) == (5, "__main__ ['a', '1'] line\n", "x\n")


def test_an_error_is_a_traceback_and_what_one_program_does_is_nothing_to_the_next(warm: Warm) -> None:
    failed = warm.run("import aiomemdb; aiomemdb.connect = None; left = 1; 1 / 0")
    assert failed.returncode == 1 and failed.stderr.endswith("ZeroDivisionError: division by zero\n")
    assert warm.run("import aiomemdb; assert aiomemdb.connect; assert 'left' not in globals()").returncode == 0


def test_a_signal_is_its_end(warm: Warm) -> None:
    assert warm.run("import os; os.kill(os.getpid(), 9)").returncode == -9


def test_a_closed_pipe_has_no_reader(warm: Warm) -> None:
    program = """
        import sys
        try:
            print(1, flush=True)
        except BrokenPipeError:
            sys.stdout = None
            sys.exit(7)
    """
    assert warm.run(program, closed_pipe=True).returncode == 7
