"""The queue of write jobs: in what order they are taken, and how many at a time. Knows no SQLite.

Its bound is ``max_pending``. ``submit``, which does not wait, is refused beyond it. A caller that awaits its write
can't add a second one, so it waits its turn in the same queue: first come, first served, and no caller is overtaken
when room comes free.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any

from ..errors import QueueFull
from .job import JobFuture, WriteJob

__all__ = ["JobQueue"]

_FUTURE = itemgetter(0)  # of a WriteJob


class JobQueue:
    """First in, first out.

    Attributes:
        jobs: those that wait.
        append: adds a job.
        unusual: it may hold a job that is alone, durable or timed: it is to be looked through.
        behind: how many of its jobs were there when the latest batch was taken.
    """

    def __init__(self, max_pending: int) -> None:
        self.jobs: deque[WriteJob] = deque()
        self.append: Callable[[WriteJob], None] = self.jobs.append
        self.unusual: bool = False
        self.behind: int = 0
        self._max_pending = max_pending
        self._at_most = 1024
        self._left = 0

    def __len__(self) -> int:
        return len(self.jobs)

    def check_room(self) -> None:
        """Raises QueueFull where ``max_pending`` jobs wait."""
        if len(self.jobs) >= self._max_pending:
            self._forget_left()
        if len(self.jobs) >= self._max_pending:
            raise QueueFull(
                f"{len(self.jobs)} jobs wait for the writer (max_pending={self._max_pending}): "
                "await some of the futures, or use await db.write(), which waits its turn"
            )

    def caller_left(self) -> None:
        """A waiting caller was cancelled: many such jobs are not kept until their turn comes."""
        self._left += 1
        if self._left > 1000 and self._left * 2 > len(self.jobs):
            self._forget_left()

    def _forget_left(self) -> None:
        self._left = 0
        self.behind = sum(not future.done() for future, *_ in islice(self.jobs, self.behind))
        kept = [job for job in self.jobs if not job[0].done()]
        self.jobs.clear()
        self.jobs.extend(kept)

    def take(self) -> tuple[list[WriteJob], bool]:
        """What waits, up to what a batch manages in its time and up to the next job that must run alone; and whether
        any of it is durable. No jobs: no caller waits.
        """
        waiting = self.jobs
        if len(waiting) == 1 and not self.unusual:  # the usual one of a lone caller
            job = waiting.popleft()
            self.behind = 0
            return [] if job[0].done() else [job], False
        # Futures are asked: a caller that was cancelled in this very turn has not said so yet (15 ns a job, in C).
        if not self.unusual and len(waiting) <= self._at_most and not self._any_has_left():
            jobs, durable = list(waiting), False
            waiting.clear()
        else:
            jobs, durable = self._take_looking()
        self.behind = len(waiting)
        return jobs, durable

    def _any_has_left(self) -> bool:
        """Whether any future is done; or whether it can't be told, as they are of several classes (see ``settle``)."""
        waiting = self.jobs
        try:
            return bool(waiting) and any(map(type(waiting[0][0]).done, map(_FUTURE, waiting)))
        except TypeError:
            return True

    def _take_looking(self) -> tuple[list[WriteJob], bool]:
        waiting = self.jobs
        jobs: list[WriteJob] = []
        durable, unusual = False, self.unusual
        while waiting and len(jobs) < self._at_most:
            job = waiting[0]
            future, operation, *_ = job
            if operation.alone and jobs:
                break
            waiting.popleft()
            if future.done():  # its caller has left
                continue
            jobs.append(job)
            if unusual and isinstance(future, JobFuture):
                future.started = not operation.lends  # its block runs once the future has resolved
                durable = durable or future.durable
            if operation.alone:
                break
        self.unusual = unusual and bool(waiting)
        if not waiting:
            self._left = 0
        return jobs, durable

    def took_time_for(self, done: int, jobs: Sequence[WriteJob]) -> None:
        """A batch had time for the first ``done`` of these: the others wait again, in front."""
        if done >= len(jobs):
            if done >= self._at_most:
                self._at_most *= 2
            return
        self._at_most = max(2 * done, 64)
        rest = jobs[done:]
        for future, *_ in rest:
            if isinstance(future, JobFuture):
                future.started = False
        self.unusual = True
        self.jobs.extendleft(reversed(rest))

    def drop(self, count: int | None = None) -> list[asyncio.Future[Any]]:
        """Takes out the first ``count`` jobs, or all, never to run; returns their futures."""
        count = len(self.jobs) if count is None else min(count, len(self.jobs))
        return [self.jobs.popleft()[0] for _ in range(count)]
