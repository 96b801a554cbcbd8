"""Callers that await one operation after another until their time is up, and what became of it."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any

__all__ = ["Crowd", "Sample", "check_notes", "percentiles", "run_for"]

# Called with the job's number, which no other call of the crowd has.
Operation = Callable[[int], Awaitable[object]]

# How long callers that wait when the time is up may still wait, in seconds: more than sqlite3's busy timeout.
DRAIN = 8.0

# At most so many callers look at the clock, so that looking costs a crowd of thousands nothing.
TIMED_CALLERS = 64


@dataclass(slots=True)
class Sample:
    """What one contestant did in one round.

    Attributes:
        rate: operations a second (of what the workload counts).
        waits: for each side, p50, p99 and p99.9 of what a call took, in seconds.
        errors: calls that failed; ``first_error`` says how.
        lost: acknowledged, but not in the file.
        duplicates: in the file twice, or in spite of the error that its caller got.
        figures: what else the workload measures.
    """

    rate: float = 0.0
    waits: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    errors: int = 0
    first_error: str = ""
    lost: int = 0
    duplicates: int = 0
    figures: dict[str, float] = field(default_factory=dict)


class Crowd:
    """So many callers, each awaiting one operation after another.

    Args:
        operations: one for each caller.
        each: a task ends after so many, and another takes its place when all have ended; None: it goes on.
        once: no task takes another's place: it is over when all have ended.
    """

    def __init__(
        self, name: str, operations: Sequence[Operation], *, each: int | None = None, once: bool = False
    ) -> None:
        self.name = name
        self.operations = operations
        self.each = each
        self.once = once
        self.done = [0] * len(operations)
        self.failed: list[list[int]] = [[] for _ in operations]
        self.first_error = ""
        self.waits: list[float] = []
        self.rate = 0.0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.left_waiting = 0

    async def run(self) -> None:
        """Until ``stop``, and until the callers that waited then have their answers."""
        callers = len(self.operations)
        every = math.ceil(callers / TIMED_CALLERS)
        numbers = [count(number, callers) for number in range(callers)]
        while not self.over.done():
            tasks = [
                asyncio.create_task(
                    (self._timed if number % every == 0 else self._untimed)(number, islice(numbers[number], self.each))
                )
                for number in range(callers)
            ]
            wave: asyncio.Future[Any] = asyncio.gather(*tasks)
            await asyncio.wait({wave, self.over}, return_when=asyncio.FIRST_COMPLETED)
            if self.once:
                break
        _, left = await asyncio.wait(tasks, timeout=DRAIN)
        self.left_waiting = len(left)
        for task in left:
            task.cancel()

    def stop(self, seconds: float) -> None:
        self.over.set_result(None)
        self.rate = sum(self.done) / seconds

    async def _untimed(self, number: int, jobs: Iterable[int]) -> None:
        operation, done, is_over = self.operations[number], self.done, self.over.done
        for job in jobs:
            if is_over():
                return
            try:
                await operation(job)
            except Exception as error:
                await self._note(number, job, error)
            else:
                done[number] += 1

    async def _timed(self, number: int, jobs: Iterable[int]) -> None:
        operation, done, is_over = self.operations[number], self.done, self.over.done
        waits, clock = self.waits, time.perf_counter
        asked = clock()
        for job in jobs:
            if is_over():
                return
            try:
                await operation(job)
            except Exception as error:
                await self._note(number, job, error)
            else:
                done[number] += 1
            now = clock()
            waits.append(now - asked)
            asked = now

    async def _note(self, number: int, job: int, error: Exception) -> None:
        self.failed[number].append(job)
        self.first_error = self.first_error or f"{type(error).__name__}: {error}"
        await asyncio.sleep(0)  # what fails at once, again and again, still lets the clock stop it

    def acknowledged(self) -> set[int]:
        """The numbers of the jobs that returned."""
        callers, numbers = len(self.operations), set[int]()
        for number, (done, failed) in enumerate(zip(self.done, self.failed, strict=True)):
            numbers.update(range(number, number + callers * (done + len(failed)), callers))
            numbers.difference_update(failed)
        return numbers


async def run_for(seconds: float, *crowds: Crowd) -> Sample:
    """All of them at once; the rate is that of the first."""
    began = time.perf_counter()

    def stop() -> None:
        took = time.perf_counter() - began
        for crowd in crowds:
            crowd.stop(took)

    time_up = asyncio.get_running_loop().call_later(seconds, stop)
    await asyncio.gather(*[crowd.run() for crowd in crowds])
    if not crowds[0].over.done():
        time_up.cancel()
        stop()
    sample = Sample(rate=crowds[0].rate)
    for crowd in crowds:
        if crowd.waits:
            sample.waits[crowd.name] = percentiles(crowd.waits)
        if crowd is not crowds[0]:
            sample.figures[f"{crowd.name}/s"] = crowd.rate
        sample.errors += sum(map(len, crowd.failed)) + crowd.left_waiting
        sample.first_error = sample.first_error or crowd.first_error
        if crowd.left_waiting:
            sample.first_error = sample.first_error or f"{crowd.left_waiting} callers waited for {DRAIN:g} s and more"
    return sample


def percentiles(waits: list[float]) -> tuple[float, float, float]:
    """p50, p99, p99.9; the largest where there are too few."""
    ordered = sorted(waits)
    p50, p99, p999 = (ordered[min(int(len(ordered) * part), len(ordered) - 1)] for part in (0.5, 0.99, 0.999))
    return p50, p99, p999


def check_notes(
    path: str, crowd: Crowd, sample: Sample, *, before: int = 0, wrote: Callable[[int], bool] = lambda job: True
) -> None:
    """Compares the file with what the callers were told.

    Args:
        before: so many rows were there already.
        wrote: whether the job of this number was a write.
    """
    connection = sqlite3.connect(path)
    found = [number for (number,) in connection.execute("SELECT agent FROM note WHERE id > ?", (before,))]
    connection.close()
    there = set(found)
    sample.lost = len(set(filter(wrote, crowd.acknowledged())) - there)
    sample.duplicates = len(found) - len(there) + sum(job in there for failed in crowd.failed for job in failed)
