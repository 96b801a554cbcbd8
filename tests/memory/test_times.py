"""Times come back as they were given: the moment to the microsecond, and the offset from UTC to the minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiomemdb import Fact, Memory
from aiomemdb.memory.times import from_micros, offset_of, to_micros

TOKYO = timezone(timedelta(hours=9))
HALF_PAST_MIDNIGHT = datetime(2024, 3, 1, 0, 30, tzinfo=TOKYO)  # in UTC it is still 29 February

offsets = st.integers(-24 * 3600 + 1, 24 * 3600 - 1).map(lambda seconds: timezone(timedelta(seconds=seconds)))


@given(st.datetimes(timezones=offsets))
def test_a_moment_comes_back_whole_and_its_offset_to_the_minute(when: datetime) -> None:
    try:
        micros = to_micros("when", when)
    except ValueError:
        return  # outside the years 1 to 9999 in UTC
    back = from_micros(micros, offset_of(when))
    given, kept = when.utcoffset(), back.utcoffset()
    assert back == when
    assert given is not None and kept is not None and abs(kept) <= abs(given) < abs(kept) + timedelta(minutes=1)


@pytest.mark.parametrize("when", [datetime(2024, 3, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=ZoneInfo("Etc/UTC"))])
def test_utc_comes_back_as_utc(when: datetime) -> None:
    back = from_micros(to_micros("when", when), offset_of(when))
    assert back == when and back.tzinfo is UTC


async def test_a_prompt_shows_the_day_on_which_it_was(memory: Memory) -> None:
    await memory.remember("tea at midnight", occurred_at=HALF_PAST_MIDNIGHT)
    await memory.add_fact(
        "Ann", "drinks", "tea", valid_at=HALF_PAST_MIDNIGHT, invalid_at=HALF_PAST_MIDNIGHT.replace(day=2)
    )
    found = await memory.recall("tea", as_of=HALF_PAST_MIDNIGHT)
    lines = found.to_prompt().splitlines()
    assert "- 2024-03-01: tea at midnight [episode 1]" in lines
    assert "- Ann drinks tea (from 2024-03-01 until 2024-03-02) [fact 1]" in lines


async def test_a_zone_comes_back_as_its_offset(memory: Memory) -> None:
    summer = datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Oslo"))
    episode = await memory.add_episode("text", occurred_at=summer, key="k")
    assert episode.occurred_at == summer and episode.occurred_at.utcoffset() == timedelta(hours=2)
    assert await memory.episode(key="k") == episode


async def test_what_a_new_fact_closes_ends_on_its_day(memory: Memory) -> None:
    def days(fact: Fact) -> tuple[date | None, date | None]:
        begin, end = fact.valid_at, fact.invalid_at
        return begin and begin.date(), end and end.date()

    for where, begin in (("A", 1), ("C", 21), ("B", 11)):  # B comes late: it ends where C begins
        await memory.add_fact("Ann", "is at", where, valid_at=HALF_PAST_MIDNIGHT.replace(day=begin), replace=True)
    found = [(await memory.facts("Ann", as_of=HALF_PAST_MIDNIGHT.replace(day=day, hour=1)))[0] for day in (1, 11, 21)]
    first, second, third = date(2024, 3, 1), date(2024, 3, 11), date(2024, 3, 21)
    assert [days(fact) for fact in found] == [(first, second), (second, third), (third, None)]


async def test_one_moment_of_two_zones_is_one_fact(memory: Memory) -> None:
    fact = await memory.add_fact("Ann", "is at", "A", valid_at=HALF_PAST_MIDNIGHT)
    assert await memory.add_fact("Ann", "is at", "A", valid_at=HALF_PAST_MIDNIGHT.astimezone(UTC)) == fact
