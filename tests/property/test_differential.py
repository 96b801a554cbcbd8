"""Random jobs over random schemas, held against plain sqlite3 that runs the same jobs one by one.

Tables, results and errors are compared job by job and round by round; what may differ is listed with its reason in
differential/allowed.py. More of it: ``.venv/bin/python -m tests.property.differential --seed 1 --jobs 20000``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from random import SystemRandom
from typing import Any

import pytest

from aiomemdb import WriteTimeout
from aiomemdb.concurrency.job import timed_out
from aiomemdb.sqlite.connection.guarded import GuardedConnection
from aiomemdb.sqlite.reading import queries
from aiomemdb.sqlite.writing import batch, statements, unfinished
from aiomemdb.sqlite.writing.session import Session
from aiomemdb.sqlite.writing.statements import Book
from tests.property.differential.allowed import ALLOWED
from tests.property.differential.campaign import Campaign
from tests.property.differential.programs import from_text
from tests.property.differential.rounds import random_program


def fresh() -> Iterable[int]:
    return count(SystemRandom().randrange(10**9))


async def assert_agrees(seeds: Iterable[int], jobs: int) -> Campaign:
    campaign = Campaign()
    await campaign.run(seeds, jobs=jobs)
    assert not campaign.found, f"\n{campaign.found[0]}"
    return campaign


async def test_jobs_do_what_plain_sqlite3_does() -> None:
    await assert_agrees(count(1), jobs=2000)


async def test_jobs_do_what_plain_sqlite3_does_whatever_the_seed() -> None:
    await assert_agrees(fresh(), jobs=1000)


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_100_000_jobs_do_what_plain_sqlite3_does() -> None:
    campaign = await assert_agrees(fresh(), jobs=100_000)
    print(f"{campaign.jobs} jobs; allowed differences: {dict(campaign.seen)}")


def _not_started(verb: str, timeout: float, *, started: bool) -> WriteTimeout:
    return timed_out(verb, timeout, started=False)


#: A safety, what is there without it, and a seed from which on it is missed soon.
SAFETIES: dict[str, tuple[object, str, Callable[..., Any], int]] = {
    "rows that stay of a refused job": (batch, "is_undone", lambda _: True, 60),
    "rows that stay of a trigger": (Book, "fails_halfway", lambda *_: False, 1_000_000),
    "a schema that was undone": (Session, "_forget_undone_schema", lambda _: None, 3_000_005),
    "the error before": (GuardedConnection, "forget_error", lambda _: None, 3_000_000),
    "a list of what was there before": (queries, "_look_if_pragma", lambda *_: False, 3_000_000),
    "whether a job had begun when its time was up": (unfinished, "timed_out", _not_started, 100),
    "a rowid where nothing was inserted": (statements, "inserts", lambda _: "rows", 3_000_000),
}


async def campaign_without(monkeypatch: pytest.MonkeyPatch, safety: str, *, tries: int = 0) -> Campaign:
    of, name, instead, seed = SAFETIES[safety]
    monkeypatch.setattr(of, name, instead)
    campaign = Campaign()
    await campaign.run(count(seed), jobs=20_000, tries=tries)
    return campaign


@pytest.mark.parametrize("safety", SAFETIES)
async def test_it_finds(monkeypatch: pytest.MonkeyPatch, safety: str) -> None:
    assert len((await campaign_without(monkeypatch, safety)).found) == 1


async def test_what_it_finds_is_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    # A safety that is missed in each run: a stale list of what was there shows only where a reader was warm in time.
    [found] = (await campaign_without(monkeypatch, "a rowid where nothing was inserted", tries=30)).found
    assert found.program.jobs < random_program(found.seed).jobs


def test_a_program_prints_as_what_makes_it_again() -> None:
    for seed in range(50):
        program = random_program(seed)
        assert from_text(repr(program)) == program


def test_a_seed_makes_one_program() -> None:
    assert [random_program(seed) for seed in range(20)] == [random_program(seed) for seed in range(20)]


def test_each_allowed_difference_has_a_reason_and_a_name_of_its_own() -> None:
    assert all(one.reason for one in ALLOWED) and len({one.name for one in ALLOWED}) == len(ALLOWED)
