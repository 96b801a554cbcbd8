"""python -m tests.property.differential [--seed N] [--jobs N] [--most N] [FILE]: hunts, or runs one program again."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from collections import Counter
from itertools import count
from pathlib import Path

from tests.conftest import pytest_asyncio_loop_factories

from .campaign import Campaign, run_program
from .programs import from_text
from .second import SecondProcess


async def _hunt(first: int, jobs: int, most: int, tries: int) -> int:
    campaign = Campaign()
    began = time.monotonic()
    await campaign.run(count(first), jobs=jobs, most_found=most, tries=tries)
    for found in campaign.found:
        print(f"{found}\n(after {found.jobs_before} jobs)\n")
    print(f"{campaign.jobs} jobs in {time.monotonic() - began:.0f} s; allowed: {dict(campaign.seen)}")
    for kind, times in Counter(found.difference.kind for found in campaign.found).most_common():
        print(f"{times} × {kind}")
    return len(campaign.found)


async def _again(text: str) -> int:
    with SecondProcess() as second:
        found = await run_program(from_text(text), second)
    for difference in found:
        print(difference)
    return len(found)


def main() -> int:
    logging.disable()  # it is foreign to the database on purpose
    parser = argparse.ArgumentParser(prog="python -m tests.property.differential", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="a program, as it was printed")
    parser.add_argument("--seed", type=int, default=0, help="the first one's")
    parser.add_argument("--jobs", type=int, default=1, help="run further seeds until so many jobs have run")
    parser.add_argument("--most", type=int, default=1, help="end after so many programs that differ")
    parser.add_argument("--tries", type=int, default=2000, help="how often to try to make each smaller")
    given = parser.parse_args()
    [factory] = pytest_asyncio_loop_factories().values()
    with asyncio.Runner(loop_factory=factory) as runner:
        if given.file is not None:
            return runner.run(_again(given.file.read_text()))
        return runner.run(_hunt(given.seed, given.jobs, given.most, given.tries))


if __name__ == "__main__":
    sys.exit(min(main(), 1))
