"""Identity under fire: several processes, each with several callers, name the same things in all ways at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiomemdb import Memory, Name, Statement
from aiomemdb.memory.names import fold
from tests.memory.conftest import assert_sound
from tests.memory.fleet import run_together
from tests.memory.support import SpellingEmbedder
from tests.support.plain import plain

pytestmark = pytest.mark.sqlite_only

PROCESSES, CALLERS = 4, 4
FIRST = ["Jonathan", "Marianne", "Theodore", "Isabelle", "Cornelius"]
LAST = ["Miller", "Tanaka", "Okonkwo", "Sorensen", "Villeneuve", "Abernathy"]


def variants(name: str) -> list[str]:
    """Case, spaces, width and spelling: the last one only an embedder sees."""
    first, last = name.split()
    wide = "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in name)
    return [
        name.upper(),
        f"  {first}\t {last.lower()} ",
        wide,
        f"{first.replace('a', 'o', 1)} {last.replace('e', 'a')}",
    ]


NAMES = [variant for first in FIRST for last in LAST for variant in variants(f"{first} {last}")]
# The plain reference: which names are one, by their consonants.
PEOPLE = {(first, last) for first in FIRST for last in LAST}


async def call(memory: Memory, seed: str, seen: dict[str, set[int]]) -> None:
    names = list(NAMES)
    random.Random(seed).shuffle(names)
    for name in names:
        seen[name].add((await memory.find_or_create_entity(name, similarity=0.9)).id)


async def fire(meet: Callable[[], None], paths: list[str], seed: int) -> list[Any]:
    rounds = []
    for number, path in enumerate(paths):
        meet()
        embedder = SpellingEmbedder(delay=0.03)
        async with Memory.open(path, embedder=embedder) as memory:
            meet()
            opened = memory._core.db.statistics().writes
            seen: dict[str, set[int]] = {name: set() for name in NAMES}

            await asyncio.gather(*(call(memory, f"{seed} {number} {caller}", seen) for caller in range(CALLERS)))
            rounds.append((seen, dict(embedder.texts), memory._core.db.statistics().writes - opened))
    return rounds


def assert_agreed(path: Path, reports: list[Any]) -> None:
    together: dict[str, set[int]] = {name: set() for name in NAMES}
    for seen, embedded, writes in reports:
        for name in NAMES:
            together[name] |= seen[name]
        assert set(embedded.values()) <= {1}  # one embedding for each name and process
        assert writes <= len({fold(name) for name in NAMES})  # at most one write job
    assert all(len(ids) == 1 for ids in together.values()), "some name has two entities"
    assert len({id for ids in together.values() for id in ids}) == len(PEOPLE)
    for place in range(0, len(NAMES), 4):
        assert len(set.union(*(together[name] for name in NAMES[place : place + 4]))) == 1
    assert plain(path, "SELECT count(*) FROM entity") == [(len(PEOPLE),)]
    assert_sound(path)


@pytest.mark.parametrize("rounds", [2, pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
def test_all_processes_agree_on_who_is_who(tmp_path: Path, rounds: int) -> None:
    for start in range(0, rounds, 5):
        paths = [tmp_path / f"{number}.db" for number in range(start, min(rounds, start + 5))]
        reports = run_together(fire, [([str(path) for path in paths], seed) for seed in range(PROCESSES)])
        for number, path in enumerate(paths):
            assert_agreed(path, [report[number] for report in reports])


async def ask_each(meet: Callable[[], None], path: str, names: list[str], similarity: float | None) -> list[int]:
    """Each name at the same instant as the other processes; the embedder is as slow in all of them."""
    embedder = None if similarity is None else SpellingEmbedder(delay=0.02)
    async with Memory.open(path, embedder=embedder) as memory:
        found = []
        for name in names:
            meet()
            found.append((await memory.find_or_create_entity(name, similarity=similarity)).id)
        return found


def test_case_variants_across_processes_are_one(db_path: Path) -> None:
    names = [[name.upper(), name.lower(), name.title()] for name in (f"name of {n}" for n in range(25))]
    found = run_together(ask_each, [(str(db_path), [name[way] for name in names], None) for way in range(3)])
    assert found[0] == found[1] == found[2]
    assert len(set(found[0])) == 25
    assert_sound(db_path)


def test_near_names_across_processes_are_one(db_path: Path) -> None:
    names = [[f"{first} {last}", f"{first.replace('a', 'e')} {last}"] for first in FIRST[:2] for last in LAST]
    found = run_together(ask_each, [(str(db_path), [name[way] for name in names], 0.9) for way in range(2)])
    assert found[0] == found[1]
    assert len(set(found[0])) == len(names)
    assert_sound(db_path)


async def remember_all(meet: Callable[[], None], path: str, agent: str) -> list[Any]:
    async with Memory.open(path, agent=agent) as memory:
        meet()
        await asyncio.gather(
            *(
                memory.remember(f"{n} {agent}", [(f"N {n}", "next to", f"n {n + 1}")], session=f"s {n % 3}")
                for n in range(40)
            )
        )
        return [await memory._core.db.read_value("SELECT max(at) FROM memory_event")]


def test_documents_of_many_processes_agree_and_time_never_goes_back(db_path: Path) -> None:
    run_together(remember_all, [(str(db_path), f"agent {n}") for n in range(3)])
    assert plain(db_path, "SELECT count(*) FROM entity") == [(41,)]
    assert plain(db_path, "SELECT count(*) FROM fact") == [(40,)]
    assert plain(db_path, "SELECT count(*) FROM fact_evidence") == [(120,)]
    assert plain(db_path, "SELECT count(*), count(DISTINCT seq), max(seq) FROM episode GROUP BY session") == [
        (count, count, count) for count in (42, 39, 39)
    ]
    assert_sound(db_path)


async def add_names(meet: Callable[[], None], path: str, number: int) -> list[list[bool]]:
    """The same names with a type, an observation and a relation of its own; says which were new."""
    async with Memory.open(path, agent=f"agent {number}") as memory:
        new = []
        for begin in range(0, 40, 10):
            names = [f"name {n}" for n in range(begin, begin + 10)]
            meet()
            related = await memory.add_facts([(name, "next to", f"beside {name}") for name in names], missing="imply")
            added = await memory.add_entities(
                [Name(name, f"type {number}") for name in names],
                facts=[Statement(subject=name, predicate="observation", value=f"of {number}") for name in names],
                any_type=True,
            )
            new += [[one.new, fact.new] for one, fact in zip(added, related, strict=True)]
        return new


def test_one_of_many_processes_that_add_a_name_learns_that_it_is_new(db_path: Path) -> None:
    new = run_together(add_names, [(str(db_path), number) for number in range(4)])
    assert [[sum(each[name][what] for each in new) for what in range(2)] for name in range(40)] == [[1, 1]] * 40
    # Each has what the one process has said of it that was told so.
    [made] = plain(
        db_path,
        "SELECT count(*) FROM entity e JOIN fact f ON f.subject = e.id AND f.predicate = 'observation' "
        "WHERE e.established IS NOT NULL AND 'of ' || substr(e.type, 6) = json_extract('[' || f.value || ']', '$[0]')",
    )
    assert made == (40,)
    assert plain(db_path, "SELECT count(*), count(established) FROM entity") == [(80, 40)]
    assert plain(db_path, "SELECT count(*) FROM fact") == [(80,)]
    assert_sound(db_path)
