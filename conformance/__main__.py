"""Runs the suites of suites.py, and prints one table: ``make conformance``, or ``python -m conformance --help``."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from .environments import CHECKOUT, environment, source
from .suites import SUITES, Suite

_TIME_LIMIT = 120  # seconds for one test: ends a hang


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a suite came to.

    Attributes:
        problems: why it is not as its entry of the table says; empty: it is.
    """

    suite: Suite
    passed: int
    failed: int
    skipped: int
    seconds: float
    problems: tuple[str, ...]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="this suite; may be given again")
    parser.add_argument("--at-each-merge", action="store_true", help="those that CI runs before each merge")
    parser.add_argument("--stock", action="store_true", help="the suites' own classes, for comparison")
    parser.add_argument("pytest", nargs="*", metavar="ARGUMENT", help="for pytest, behind --: then nothing is judged")
    options = parser.parse_args()
    names = [suite.name for suite in SUITES]
    if unknown := set(options.only or ()) - set(names):
        parser.error(f"no suite is called {', '.join(sorted(unknown))}: there are {', '.join(names)}")
    chosen = [suite for suite in SUITES if not options.only or suite.name in options.only]
    chosen = [suite for suite in chosen if suite.at_each_merge or not options.at_each_merge]
    outcomes = [run(suite, stock=options.stock, extra=options.pytest) for suite in chosen]
    print_table(outcomes)
    return int(any(outcome.problems for outcome in outcomes))


def run(suite: Suite, *, stock: bool, extra: list[str]) -> Outcome:
    print(f"=== {suite.name}{' (stock)' if stock else ''}", flush=True)
    python = environment(suite)
    places = {pin.partition("==")[0]: str(source(pin)) for pin in suite.sources}
    places["here"] = str(Path(__file__).parent)
    path = [str(CHECKOUT), *(folder.format_map(places) for folder in suite.path)]
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        results = Path(folder) / "outcomes.json"
        variables = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path),
            "AIOMEMDB_OUTCOMES": str(results),
            **({"AIOMEMDB_STOCK": "1"} if stock else {}),
        }
        variables.pop("AIOMEMDB_MAX_SKIPS", None)  # of our own tests; a suite says how many it skips
        command = [str(python), "-m", "pytest", "-q", "--no-header", "-rN", "--tb=short", f"--timeout={_TIME_LIMIT}"]
        plugins = ["-p", "no:cacheprovider", "-p", "conformance.outcomes", "-p", f"conformance.plugins.{suite.plugin}"]
        tests = [argument.format_map(places) for argument in suite.tests]
        began = time.monotonic()
        ended = subprocess.run([*command, *plugins, *tests, *extra], cwd=folder, env=variables, check=False)
        seconds = time.monotonic() - began
        found: dict[str, str] = json.loads(results.read_text()) if results.exists() else {}
    counts = Counter(found.values())
    if not found:
        problems = [f"pytest ran no test (its exit code is {ended.returncode})"]
    elif extra:
        problems = []
    else:
        problems = list(judge(suite, found, suite.stock_failing if stock else suite.failing))
    return Outcome(suite, counts["passed"], counts["failed"], counts["skipped"], seconds, tuple(problems))


def judge(suite: Suite, found: Mapping[str, str], failing: Mapping[str, str]) -> Iterable[str]:
    """Yields what is not as it must be."""

    def of(outcome: str) -> list[str]:
        return [test for test, what in found.items() if what == outcome]

    def named(test: str) -> list[str]:
        return [pattern for pattern in failing if fnmatchcase(test, f"*{pattern}")]

    for test in of("failed"):
        if not named(test):
            yield f"failed: {test}"
    for pattern in failing:
        if not any(pattern in named(test) for test in of("failed")):
            yield f"does not fail any more, take it out: {pattern}"
    passed, skipped = len(of("passed")), len(of("skipped"))
    if passed < suite.passed:
        yield f"{passed} passed, and {suite.passed} must"
    if suite.skipped is not None and skipped != suite.skipped:
        yield f"{skipped} skipped, and {suite.skipped} must"


def print_table(outcomes: Iterable[Outcome]) -> None:
    print(f"\n{'suite':24} {'passed':>7} {'must':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}")
    for outcome in outcomes:
        verdict = "FAIL" if outcome.problems else "ok"
        print(
            f"{outcome.suite.name:24} {outcome.passed:7,} {outcome.suite.passed:7,} {outcome.failed:7,} "
            f"{outcome.skipped:8,} {outcome.seconds:8.1f}  {verdict}"
        )
        for problem in outcome.problems:
            print(f"    {problem}")


if __name__ == "__main__":
    sys.exit(main())
