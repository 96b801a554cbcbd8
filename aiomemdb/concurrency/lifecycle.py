"""The life of a writer: its states, what happens to it, and what is then to be done. Knows no SQL.

Which errors stop it (FAILED) is decided where they arise, in sqlite/writing/batch.py.

    LEFT --WORK--> OPEN --CANCELLED--> LEAVING --IDLE, TIME_UP--> LEFT
                     |
                     +--CLOSE--> DRAINING --DROP--> DROPPING --IDLE, TIME_UP, GIVE_UP--> CLOSED
                     +--FAILED--> STOPPED
                     +--DIED--> LOST
                     +--LOOP_CLOSED--> CLOSED
                     +--FORKED--> FORKED

``TRANSITIONS`` is the whole of it: for each state and event the next state, and what the writer is to do. The writer
does that in one place; ``Lifecycle`` remembers the state, and owns the task. The task does nothing but wait: an event
loop that ends cancels all tasks and waits for them, and so it waits until the queue is drained, for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from enum import Enum, Flag, auto

from ..errors import AiomemdbError, DatabaseClosed
from .job import copy_error, settle_one

__all__ = ["TRANSITIONS", "Action", "Event", "Lifecycle", "State"]

# How long a cancelled task (asyncio.run cancels all tasks at its end) goes on to drain the queue.
_DRAIN_AFTER_CANCEL = 2.0


class State(Enum):
    """What a writer does with new jobs and with those that wait."""

    OPEN = auto()
    """Takes jobs and runs them."""
    LEAVING = auto()
    """As OPEN, but its task was cancelled, perhaps since the loop ends: the task ends when there is nothing to do."""
    LEFT = auto()
    """Its task has ended. It takes jobs; the next one starts another task."""
    DRAINING = auto()
    """Takes no jobs, and runs those that wait."""
    DROPPING = auto()
    """Takes no jobs, and has failed those that waited; what runs may end."""
    STOPPED = auto()
    """Nothing may be written any more. Its thread is there."""
    LOST = auto()
    """Its thread has died."""
    CLOSED = auto()
    """It has ended."""
    FORKED = auto()
    """It is the parent process's."""


class Event(Enum):
    """What happens to a writer. After each of the others comes WORK or IDLE."""

    WORK = auto()
    """There is something to do."""
    IDLE = auto()
    """There is nothing to do."""
    CANCELLED = auto()
    """Its task was cancelled while it waited."""
    CUT = auto()
    """Its task was cancelled before its first step, and so it has ended."""
    TIME_UP = auto()
    """The loop is ending, and its task has had its time."""
    CLOSE = auto()
    """It is to take no job any more."""
    DROP = auto()
    """As CLOSE, and those that wait are to fail."""
    GIVE_UP = auto()
    """As DROP, and what runs is not waited for."""
    FAILED = auto()
    """Nothing may be written any more: corruption, another file in its place, an unknown outcome."""
    DIED = auto()
    """Its thread has died, or it met an error of its own."""
    LOOP_CLOSED = auto()
    """The loop was closed under it."""
    FORKED = auto()
    """This is a forked child."""


class Action(Flag):
    """What is to be done, in this order."""

    NONE = 0
    REFUSE = auto()
    """New calls look closer, and are refused."""
    FAIL_WAITING = auto()
    """All jobs that wait fail."""
    ROLL_BACK = auto()
    """A transaction that is held is rolled back, and its holder told."""
    FAIL_RUNNING = auto()
    """The callers of what runs are told that its outcome is unknown, or that it never runs."""
    TELL_UNHEARD = auto()
    """The callers of what ran on the thread are told what became of it: the loop never gets the answer."""
    LEAVE_TO_PARENT = auto()
    """A transaction that is held is the parent process's to end."""
    START = auto()
    """The task is started."""
    TIME = auto()
    """The task has some time, and then its time is up."""
    END = auto()
    """The task ends."""


_TAKE_JOBS = frozenset([State.OPEN, State.LEAVING, State.LEFT])
_CLOSED = frozenset([State.DRAINING, State.DROPPING, State.CLOSED])

_DROP = Action.FAIL_WAITING | Action.ROLL_BACK
_GIVE_UP = Action.FAIL_WAITING | Action.FAIL_RUNNING | Action.END
_TELL = Action.FAIL_WAITING | Action.TELL_UNHEARD | Action.END

#: For each state and event: the next state, and what is to be done. A pair that is not here changes nothing.
TRANSITIONS: Mapping[tuple[State, Event], tuple[State, Action]] = {
    # The task comes and goes, and jobs are taken all the while.
    (State.LEFT, Event.WORK): (State.OPEN, Action.START),
    (State.OPEN, Event.CUT): (State.LEFT, Action.NONE),
    (State.OPEN, Event.CANCELLED): (State.LEAVING, Action.TIME),
    (State.LEAVING, Event.IDLE): (State.LEFT, Action.END),
    (State.LEAVING, Event.TIME_UP): (State.LEFT, _GIVE_UP),
    # It is closed: by close(), which has a deadline of its own, or since its handle was collected.
    **{
        (state, event): (after, Action.REFUSE | action)
        for state in _TAKE_JOBS
        for event, after, action in (
            (Event.CLOSE, State.DRAINING, Action.NONE),
            (Event.DROP, State.DROPPING, _DROP),
            (Event.GIVE_UP, State.CLOSED, _GIVE_UP),
            (Event.FAILED, State.STOPPED, Action.FAIL_WAITING | Action.END),
            (Event.DIED, State.LOST, _TELL),
            (Event.LOOP_CLOSED, State.CLOSED, _TELL),
        )
    },
    **{
        (state, event): (state if after is None else after, action)
        for state in (State.DRAINING, State.DROPPING)
        for event, after, action in (
            (Event.IDLE, State.CLOSED, Action.END),
            (Event.CANCELLED, None, Action.TIME),
            (Event.CUT, None, Action.START),
            (Event.TIME_UP, State.CLOSED, _GIVE_UP),
            (Event.DROP, State.DROPPING, _DROP),
            (Event.GIVE_UP, State.CLOSED, _GIVE_UP),
            (Event.FAILED, None, Action.FAIL_WAITING),
            (Event.DIED, State.CLOSED, _TELL),
            (Event.LOOP_CLOSED, State.CLOSED, _TELL),
        )
    },
    # It has ended: what was left over, by an error of the library's own too, is told all the same.
    **{
        (state, event): (state if after is None else after, action)
        for state in (State.STOPPED, State.LOST, State.CLOSED)
        for event, after, action in (
            (Event.CLOSE, State.CLOSED, Action.NONE),
            (Event.DROP, State.CLOSED, _DROP),
            (Event.GIVE_UP, State.CLOSED, _GIVE_UP),
            (Event.DIED, State.CLOSED if state is State.CLOSED else State.LOST, _TELL),
            (Event.LOOP_CLOSED, State.CLOSED, _TELL),
        )
    },
    # A child that ends its copy of the loop must not wait for the task there.
    **{(state, Event.FORKED): (State.FORKED, Action.REFUSE | Action.LEAVE_TO_PARENT) for state in State},
    (State.FORKED, Event.CANCELLED): (State.FORKED, Action.END),
}


class Lifecycle:
    """Where a writer is in its life, and the task by which its loop waits for it.

    Attributes:
        state: the present state; ``on`` changes it.
        error: what that state came of, or None; in DROPPING those get it that wait.
        over: resolves when the task is to end, because nothing is left to do or to wait for.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        name: str,
        *,
        tell: Callable[[Event], None],
        tell_error: Callable[[BaseException], None],
    ) -> None:
        self.state: State = State.LEFT
        self.error: AiomemdbError | None = None
        self.over: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._name = name
        self._tell = tell
        self._tell_error = tell_error
        self._timer: asyncio.TimerHandle | None = None
        self.over.set_result(None)

    @property
    def takes_jobs(self) -> bool:
        return self.state in _TAKE_JOBS

    def check(self) -> None:
        """Raises why no job is taken, if none is."""
        if self.state in _TAKE_JOBS:
            return
        if self.state in _CLOSED or self.error is None:
            raise DatabaseClosed("the database is closing or closed")
        raise copy_error(self.error)

    def on(self, event: Event, error: AiomemdbError | None = None) -> Action:
        """Goes on to the next state; returns what is to be done. What concerns the task is done."""
        before = self.state
        self.state, action = TRANSITIONS.get((before, event), (before, Action.NONE))
        if self.state is not before:
            self.error = error
        if Action.START in action:
            self._start()
        if Action.TIME in action and self._timer is None:
            self._look_later()
        if Action.END in action:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            settle_one(self.over, None)
        return action

    # The task

    def _start(self) -> None:
        if self.over.done():
            self.over = self._loop.create_future()
        task = self._loop.create_task(self._wait(self.over), name=self._name)
        # Where the loop is closed, or the handle collected, under it: nothing is lost, and nothing could have been done
        # better; asyncio would print "Task was destroyed but it is pending".
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        task.add_done_callback(self._ended)

    async def _wait(self, over: asyncio.Future[None]) -> None:
        """Outlasts every cancellation, because jobs that wait are drained first."""
        while not over.done():
            try:
                await asyncio.wait([over])
            except asyncio.CancelledError:
                self._tell(Event.CANCELLED)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():  # before its first step; it outlasts every later cancellation
            self._tell(Event.CUT)
        elif (error := task.exception()) is not None:  # a Ctrl-C that struck inside it: the loop has raised it already
            self._tell_error(error)

    def _look_later(self) -> None:
        self._timer = self._loop.call_later(_DRAIN_AFTER_CANCEL, self._look)

    def _look(self) -> None:
        """The task has had its time. Where the loop is not ending, it alone was cancelled: no job is to suffer."""
        self._timer = None
        if any(not task.cancelling() for task in asyncio.all_tasks(self._loop)):
            self._look_later()
        else:
            self._tell(Event.TIME_UP)
