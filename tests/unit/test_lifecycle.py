"""The life of a writer, as a table: each state with each event; and the task by which a loop waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import product

import pytest

from aiomemdb import AiomemdbError, DatabaseClosed, ForkedError, WriterCrashed
from aiomemdb.concurrency import lifecycle
from aiomemdb.concurrency.lifecycle import TRANSITIONS, Action, Event, Lifecycle, State

# For each state (a column) and event (a row) the next state and what is to be done; "." where nothing changes.
# R refuse, W fail those that wait, B roll back, X fail what runs, U tell the unheard, P leave to the parent, S start,
# T time, E end.
TABLE = """
            OPEN         LEAVING      LEFT         DRAINING    DROPPING    STOPPED    LOST       CLOSED     FORKED
WORK        .            .            OPEN:S       .           .           .          .          .          .
IDLE        .            LEFT:E       .            CLOSED:E    CLOSED:E    .          .          .          .
CANCELLED   LEAVING:T    .            .            DRAINING:T  DROPPING:T  .          .          .          FORKED:E
CUT         LEFT:        .            .            DRAINING:S  DROPPING:S  .          .          .          .
TIME_UP     .            LEFT:WXE     .            CLOSED:WXE  CLOSED:WXE  .          .          .          .
CLOSE       DRAINING:R   DRAINING:R   DRAINING:R   .           .           CLOSED:    CLOSED:    CLOSED:    .
DROP        DROPPING:RWB DROPPING:RWB DROPPING:RWB DROPPING:WB DROPPING:WB CLOSED:WB  CLOSED:WB  CLOSED:WB  .
GIVE_UP     CLOSED:RWXE  CLOSED:RWXE  CLOSED:RWXE  CLOSED:WXE  CLOSED:WXE  CLOSED:WXE CLOSED:WXE CLOSED:WXE .
FAILED      STOPPED:RWE  STOPPED:RWE  STOPPED:RWE  DRAINING:W  DROPPING:W  .          .          .          .
DIED        LOST:RWUE    LOST:RWUE    LOST:RWUE    CLOSED:WUE  CLOSED:WUE  LOST:WUE   LOST:WUE   CLOSED:WUE .
LOOP_CLOSED CLOSED:RWUE  CLOSED:RWUE  CLOSED:RWUE  CLOSED:WUE  CLOSED:WUE  CLOSED:WUE CLOSED:WUE CLOSED:WUE .
FORKED      FORKED:RP    FORKED:RP    FORKED:RP    FORKED:RP   FORKED:RP   FORKED:RP  FORKED:RP  FORKED:RP  FORKED:RP
"""
LETTERS = {
    "R": Action.REFUSE,
    "W": Action.FAIL_WAITING,
    "B": Action.ROLL_BACK,
    "X": Action.FAIL_RUNNING,
    "U": Action.TELL_UNHEARD,
    "P": Action.LEAVE_TO_PARENT,
    "S": Action.START,
    "T": Action.TIME,
    "E": Action.END,
}
STATES, *ROWS = map(str.split, TABLE.strip().splitlines())
EXPECTED = {
    (State[state], Event[event]): cell for event, *cells in ROWS for state, cell in zip(STATES, cells, strict=True)
}
PAIRS = list(product(State, Event))
TAKES_JOBS = {State.OPEN, State.LEAVING, State.LEFT}


def test_the_expected_table_has_each_state_and_event() -> None:
    assert set(EXPECTED) == set(PAIRS)


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_each_event_in_each_state(state: State, event: Event) -> None:
    cell = EXPECTED[state, event]
    if cell == ".":
        assert (state, event) not in TRANSITIONS
    else:
        after, _, letters = cell.partition(":")
        action = Action.NONE
        for letter in letters:
            action |= LETTERS[letter]
        assert TRANSITIONS[state, event] == (State[after], action)


@pytest.mark.parametrize(("state", "event"), sorted(TRANSITIONS, key=str))
def test_whatever_takes_no_more_jobs_refuses_new_calls_at_once(state: State, event: Event) -> None:
    after, action = TRANSITIONS[state, event]
    assert (Action.REFUSE in action) or (state in TAKES_JOBS) == (after in TAKES_JOBS)


@pytest.mark.parametrize("state", State)
def test_no_state_takes_jobs_again_once_it_has_refused_them(state: State) -> None:
    if state in TAKES_JOBS:
        return
    reached, todo = {state}, [state]
    while todo:
        at = todo.pop()
        for event in Event:
            after, _ = TRANSITIONS.get((at, event), (at, Action.NONE))
            if after not in reached:
                reached.add(after)
                todo.append(after)
    assert not reached & TAKES_JOBS


@pytest.mark.parametrize("state", State)
def test_giving_up_ends_whatever_has_not_ended(state: State) -> None:
    after, action = TRANSITIONS.get((state, Event.GIVE_UP), (state, Action.NONE))
    if state is not State.FORKED:
        assert after is State.CLOSED
        assert Action.FAIL_WAITING | Action.FAIL_RUNNING | Action.END in action


# -- the task ------------------------------------------------------------------------------------------------


class Life:
    """A lifecycle with an owner that is never busy, or until it ends."""

    def __init__(self, *, busy: bool) -> None:
        self.busy = busy
        self.heard: list[Event] = []
        self.errors: list[BaseException] = []
        self.lifecycle = Lifecycle(
            asyncio.get_running_loop(), "the writer's", tell=self.hear, tell_error=self.errors.append
        )

    def hear(self, event: Event) -> None:
        self.heard.append(event)
        if Action.END in self.lifecycle.on(event):
            self.busy = False
        self.lifecycle.on(Event.WORK if self.busy else Event.IDLE)

    def begin(self) -> asyncio.Task[None]:
        self.lifecycle.on(Event.WORK)
        return self.task

    @property
    def task(self) -> asyncio.Task[None]:
        [task] = self.tasks
        return task

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        return [task for task in asyncio.all_tasks() if task.get_name() == "the writer's"]

    async def end(self) -> None:
        self.lifecycle.on(Event.GIVE_UP)
        await self.iterations()
        assert self.tasks == []

    async def iterations(self, count: int = 3) -> None:
        for _ in range(count):
            await asyncio.sleep(0)


async def test_a_cancelled_task_of_an_idle_writer_ends_and_the_next_job_starts_another() -> None:
    life = Life(busy=False)
    first = life.begin()
    await life.iterations()
    first.cancel()
    await life.iterations()
    assert first.done() and not first.cancelled()
    assert life.lifecycle.state is State.LEFT
    second = life.begin()
    assert (life.lifecycle.state, second is first) == (State.OPEN, False)
    await life.end()


async def test_a_cancelled_task_of_a_busy_writer_goes_on_until_there_is_nothing_to_do() -> None:
    life = Life(busy=True)
    task = life.begin()
    for _ in range(3):
        await life.iterations()
        task.cancel()
    await life.iterations()
    assert (life.lifecycle.state, task.done()) == (State.LEAVING, False)
    life.lifecycle.on(Event.IDLE)
    await life.iterations()
    assert (life.lifecycle.state, task.done()) == (State.LEFT, True)


async def test_a_task_that_is_cancelled_after_an_earlier_one_ended_has_its_time_too() -> None:
    life = Life(busy=True)
    for _ in range(2):
        life.begin()
        await life.iterations()
        life.task.cancel()
        await life.iterations()
        timer = life.lifecycle._timer
        assert timer is not None and not timer.cancelled()
        life.lifecycle.on(Event.IDLE)
        await life.iterations()
        assert timer.cancelled()


@pytest.mark.parametrize(("busy", "tasks"), [(True, 1), (False, 0)])
async def test_a_task_cancelled_before_its_first_step_is_replaced_while_there_is_work(busy: bool, tasks: int) -> None:
    life = Life(busy=busy)
    life.begin().cancel()
    await life.iterations()
    assert (life.heard, len(life.tasks)) == ([Event.CUT], tasks)
    await life.end()


async def test_the_task_is_replaced_while_the_writer_drains() -> None:
    life = Life(busy=True)
    life.begin().cancel()
    life.lifecycle.on(Event.CLOSE)
    over = life.lifecycle.over
    await life.iterations()
    assert not over.done() and not life.task.done()
    life.lifecycle.on(Event.IDLE)
    await life.iterations()
    assert over.done() and life.lifecycle.over is over  # which close() waits for
    assert life.tasks == []


async def test_the_time_is_not_up_while_another_task_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "_DRAIN_AFTER_CANCEL", 0.001)
    life = Life(busy=True)
    life.begin()
    await life.iterations()
    life.task.cancel()
    await asyncio.sleep(0.02)
    assert life.heard == [Event.CANCELLED]
    await life.end()


def test_the_time_is_up_where_all_tasks_are_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "_DRAIN_AFTER_CANCEL", 0.001)
    lives: list[Life] = []

    async def main() -> None:
        lives.append(Life(busy=True))
        lives[0].begin()
        await lives[0].iterations()

    asyncio.run(main())  # cancels the task, and waits for it
    assert lives[0].heard == [Event.CANCELLED, Event.TIME_UP]
    assert lives[0].lifecycle.state is State.LEFT


async def test_a_timer_does_not_outlast_the_task() -> None:
    life = Life(busy=True)
    life.begin()
    await life.iterations()
    life.task.cancel()
    await life.iterations()
    timer = life.lifecycle._timer
    await life.end()
    assert timer is not None and timer.cancelled()


async def test_what_strikes_inside_the_task_is_told() -> None:
    life = Life(busy=True)
    life.begin()
    await life.iterations()
    life.lifecycle._tell = lambda event: 1 / 0  # type: ignore[assignment]
    life.task.cancel()
    await life.iterations()
    assert [type(error) for error in life.errors] == [ZeroDivisionError]


# -- what a call hears ---------------------------------------------------------------------------------------


def heard_after(events: Iterable[tuple[Event, AiomemdbError | None]]) -> AiomemdbError | None:
    loop = asyncio.new_event_loop()
    try:
        life = Lifecycle(loop, "", tell=lambda _: None, tell_error=lambda _: None)
        for event, error in events:
            life.on(event, error)
        try:
            life.check()
        except AiomemdbError as refused:
            return refused
        return None
    finally:
        loop.close()


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], type(None)),
        ([(Event.CLOSE, None)], DatabaseClosed),
        ([(Event.DROP, WriterCrashed("not this"))], DatabaseClosed),
        ([(Event.GIVE_UP, WriterCrashed("not this"))], DatabaseClosed),
        ([(Event.FAILED, WriterCrashed("this"))], WriterCrashed),
        ([(Event.DIED, WriterCrashed("this"))], WriterCrashed),
        ([(Event.FAILED, WriterCrashed("this")), (Event.CLOSE, None)], DatabaseClosed),
        ([(Event.CLOSE, None), (Event.FORKED, ForkedError("this"))], ForkedError),
    ],
)
def test_a_call_hears_why_no_job_is_taken(
    events: list[tuple[Event, AiomemdbError | None]], expected: type[object]
) -> None:
    assert type(heard_after(events)) is expected


def test_each_call_has_an_error_of_its_own() -> None:
    error = WriterCrashed("this")
    assert heard_after([(Event.DIED, error)]) is not error
