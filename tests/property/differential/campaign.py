"""Many programs, one after another; what differs is shrunk and printed so that it can be run again."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .allowed import listed
from .programs import Program
from .rounds import random_program
from .runner import Difference, Listed, differences
from .second import SecondProcess
from .shrinking import shrunk

__all__ = ["Campaign", "Found", "run_program"]


@dataclass(frozen=True)
class Found:
    """A seed with a program that differs, and the smallest program found that differs in the same way."""

    seed: int
    difference: Difference
    program: Program
    jobs_before: int

    def __str__(self) -> str:
        return (
            f"seed {self.seed} differs {self.difference}\n\n{self.program!r}\n\n"
            f"again: .venv/bin/python -m tests.property.differential --seed {self.seed} (or FILE, with that program)"
        )


@dataclass
class Campaign:
    """Programs of seeds.

    Attributes:
        jobs: how many have run.
        seen: the differences that are allowed, by name, and how often they were met.
    """

    listed: Listed = listed
    jobs: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    found: list[Found] = field(default_factory=list)

    async def run(self, seeds: Iterable[int], *, jobs: int, most_found: int = 1, tries: int = 2000) -> None:
        """Goes on until so many jobs have run, or so many programs differ: each is made smaller in so many tries."""
        with SecondProcess() as second:
            await self._run(seeds, self.jobs + jobs, most_found, tries, second)

    async def _run(self, seeds: Iterable[int], goal: int, most_found: int, tries: int, second: SecondProcess) -> None:
        for seed in seeds:
            program = random_program(seed)
            found = await run_program(program, second, self.listed, self.seen)
            before, self.jobs = self.jobs, self.jobs + program.jobs
            if found:
                kind = found[0].kind

                async def differs(smaller: Program, kind: str = kind) -> bool:
                    return any(each.kind == kind for each in await run_program(smaller, second, self.listed, Counter()))

                small = await shrunk(program, differs, tries=tries)
                [again, *_] = [
                    each for each in await run_program(small, second, self.listed, Counter()) if each.kind == kind
                ] or found
                self.found.append(Found(seed, again, small, before))
            if self.jobs >= goal or len(self.found) >= most_found:
                return


async def run_program(
    program: Program, second: SecondProcess, allows: Listed = listed, seen: Counter[str] | None = None
) -> list[Difference]:
    """The differences that are not listed, of the first round that has any; in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="aiomemdb-differential-") as folder:
        return await differences(program, Path(folder), allows, Counter() if seen is None else seen, second)
