"""A loop that makes every choice by a seed: the order of what is ready, when threads work, when time goes on.

The library's threads do nothing by themselves here. What is posted to one is held back, and so is what a thread has to
tell the loop; at each turn of the loop the dice say which of these go on, one at a time, while the loop waits. So a run
depends on its seed alone, and a cancellation can fall before, between and behind any two steps. Time is virtual: it
goes on when nothing else can, or by chance, so that timers too go off at any moment.

Simulation of this kind: https://apple.github.io/foundationdb/testing.html
"""

from __future__ import annotations

import asyncio
import contextvars
import math
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import pytest

from aiomemdb.concurrency import bell, worker

_PATIENCE = 20.0  # for a thread's one step, in real seconds
_SOON = 0.1  # virtual seconds: what is due later, no work takes so long
_IDLE_TURNS = 200_000  # a run of a few tasks takes some thousands


class HangsError(AssertionError):
    """A task waits, and nothing is left that could go on."""


class HeldInbox:
    """Stands where a worker has its inbox: hands its thread the next call when the loop says so."""

    def __init__(self, loop: ScheduledLoop) -> None:
        self._given: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._held: deque[Callable[[], None] | None] = deque()
        self._wants_next = threading.Event()
        self._thread: threading.Thread | None = None
        loop.inboxes.append(self)

    def put(self, call: Callable[[], None] | None) -> None:
        self._held.append(call)

    def get(self, *, timeout: float | None = None) -> Callable[[], None] | None:
        """On the worker's thread: it has done all that it was given."""
        self._thread = threading.current_thread()
        self._wants_next.set()
        return self._given.get()

    @property
    def can_go_on(self) -> bool:
        has_ended = self._thread is not None and not self._thread.is_alive()
        return bool(self._held) and not has_ended  # another thread may post to one that has ended

    def go_on(self) -> None:
        """On the loop: returns when the thread has done one more call."""
        assert self._wants_next.wait(_PATIENCE), "a thread hangs"
        self._wants_next.clear()
        call = self._held.popleft()
        self._given.put(call)
        if call is None:
            assert self._thread is not None
            self._thread.join(_PATIENCE)
            assert not self._thread.is_alive(), "a thread does not end"
        else:
            assert self._wants_next.wait(_PATIENCE), "a thread hangs"


class ScheduledLoop(asyncio.SelectorEventLoop):
    """See above. ``shuffled``: what is ready runs in any order, though asyncio would keep that of ``call_soon``."""

    def __init__(self, seed: object, *, shuffled: bool = True) -> None:
        self.inboxes: list[HeldInbox] = []
        self._dice = random.Random(f"loop {seed}")
        self._shuffled = shuffled
        self._now = 1000.0
        self._told: deque[tuple[Callable[..., object], tuple[Any, ...], contextvars.Context | None]] = deque()
        self._turns = 0
        super().__init__()

    def time(self) -> float:
        return self._now

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> None:
        if self.is_closed():
            raise RuntimeError("Event loop is closed")
        self._told.append((callback, args, context))

    def _run_once(self) -> None:
        ready: deque[asyncio.Handle] = self._ready  # type: ignore[attr-defined]
        self._turns += 1
        if self._turns > _IDLE_TURNS:
            raise HangsError("it goes on for ever")
        while self._may_go_on() and (not ready or self._dice.random() < 0.5):
            self._go_on()
        self._advance(must=not ready)
        if self._shuffled and len(ready) > 1:
            some = list(ready)
            self._dice.shuffle(some)
            ready.clear()
            ready.extend(some)
        super()._run_once()  # type: ignore[misc]

    def _may_go_on(self) -> bool:
        return bool(self._told) or any(inbox.can_go_on for inbox in self.inboxes)

    def _go_on(self) -> None:
        """One step elsewhere: a thread does what was posted, or the loop hears what a thread has reported."""
        steps: list[Callable[[], None]] = [inbox.go_on for inbox in self.inboxes if inbox.can_go_on]
        if self._told:
            steps.append(self._hear)
        self._dice.choice(steps)()

    def _hear(self) -> None:
        callback, args, context = self._told.popleft()
        self.call_soon(callback, *args, context=context)

    def _advance(self, *, must: bool) -> None:
        timers = [timer.when() for timer in self._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        soonest = min(timers, default=self._now)
        by_chance = soonest < self._now + _SOON and self._dice.random() < 0.1
        if timers and (must or by_chance):
            self._now = max(self._now, soonest + 1e-6)
        elif must and not timers and not self._stopping:  # type: ignore[attr-defined]
            raise HangsError(f"nothing can go on; what waits: {[task.get_name() for task in asyncio.all_tasks(self)]}")


@contextmanager
def scheduled(seed: object, *, shuffled: bool = True) -> Iterator[asyncio.Runner]:
    """What is run by this runner, and the databases opened by it, go as the seed says."""
    loops: list[ScheduledLoop] = []

    def make_loop() -> ScheduledLoop:
        loops.append(ScheduledLoop(seed, shuffled=shuffled))
        return loops[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "SimpleQueue", lambda: HeldInbox(loops[0]))
        patch.setattr(bell, "_HAS_EVENTFD", False)  # what a thread reports to the loop goes by call_soon_threadsafe
        # By the real clock the loop steps aside for a thread; here it waits for each anyway.
        patch.setattr(worker, "JUST_BEFORE", math.inf)
        patch.setattr(worker, "OLD", math.inf)
        with asyncio.Runner(loop_factory=make_loop) as runner:
            yield runner
