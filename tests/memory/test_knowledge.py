"""The order of knowledge is that of the events; a clock only says when each was."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiomemdb import Memory
from aiomemdb.memory.deciding import moment
from aiomemdb.memory.deciding.requests import Beginning, Changes
from aiomemdb.memory.deciding.steps import Steps
from aiomemdb.memory.drafts import Scope
from aiomemdb.memory.stores.sqlite.migrating import migrate
from aiomemdb.memory.stores.sqlite.running_rules import run
from aiomemdb.memory.stores.sqlite.states import known_upto
from aiomemdb.memory.times import to_micros
from tests.memory.support import day


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Sets what the clock says to jobs."""

    def set(now: datetime) -> None:
        micros = to_micros("now", now)
        monkeypatch.setattr("aiomemdb.memory.deciding.moment.now_micros", lambda: micros)
        # On PostgreSQL it is the server's.
        monkeypatch.setattr("aiomemdb.memory.stores.postgres.loading.NOW", f"{micros}::bigint")

    return set


async def test_a_wrong_clock_harms_only_what_was_written_by_it(
    memory: Memory, clock: Callable[[datetime], None]
) -> None:
    for number, now in enumerate((day(1), day(30_000), day(2))):
        clock(now)
        fact = await memory.add_fact("clock", "struck", value=number)
        assert fact.created_at == now
    assert {fact.value for fact in await memory.facts("clock", known_at=day(3))} == {0, 1, 2}
    assert {hit.item.value for hit in await memory.recall("struck", kinds=["fact"], known_at=day(3))} == {0, 1, 2}  # type: ignore[union-attr]
    assert {fact.value for fact in await memory.facts("clock", known_at=day(1))} == {0}


async def test_what_expired_by_a_clock_that_went_back_was_believed_before(
    memory: Memory, clock: Callable[[datetime], None]
) -> None:
    clock(day(5))
    fact = await memory.add_fact("Ann", "works at", "Acme")
    clock(day(1))
    retracted = await memory.retract(fact)
    assert (retracted.created_at, retracted.expired_at) == (day(5), day(1))
    for known_at, known in ((day(0), []), (day(1), []), (day(5), [])):
        assert await memory.facts("Ann", known_at=known_at) == known
    clock(day(6))
    beta = await memory.add_fact("Ann", "works at", "Beta")
    assert await memory.facts("Ann", known_at=day(6)) == [beta]


def one_line() -> Steps[None]:
    state = yield from Beginning(["here"])
    job = moment.moment_of(Scope("here"))
    job.note("create", "fact", 1)
    yield from Changes(state, [job])


@given(st.lists(st.integers(0, 6), min_size=1, max_size=12))
def test_known_at_a_time_is_all_up_to_the_newest_event_with_a_clock_not_after_it(clocks: list[int]) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
        migrate(conn, {})
        for now in clocks:
            with mock.patch.object(moment, "now_micros", lambda now=now: now):
                run(conn, one_line)
        for at in range(-1, 8):
            newest = max((id for id, clock in enumerate(clocks, start=1) if clock <= at), default=0)
            assert known_upto(conn, at).event == newest
