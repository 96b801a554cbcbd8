"""Files of earlier versions: nothing is lost, and what the present normal form makes one is one."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb import Memory, Normaliser, SchemaTooNew
from tests.memory.conftest import assert_sound
from tests.memory.filling import CAFE, CAFE_IN_PARTS, SCHEMAS, dump, fill, load
from tests.memory.support import WRITING_VERBS, SpellingEmbedder, remembered

VERSIONS = sorted(int(path.stem) for path in SCHEMAS.glob("*.sql"))


@pytest.fixture
async def migrated(db_path: Path) -> AsyncIterator[Memory]:
    """The file of the first version, opened by this one."""
    load(1, db_path)
    async with Memory.open(db_path, embedder=SpellingEmbedder(dim=4)) as memory:
        yield memory
    assert_sound(db_path)


async def brought_up_to_date(memory: Memory) -> None:
    """What an earlier version left is done in the background."""
    sweeping = memory._core._sweeping
    assert sweeping is not None
    await sweeping


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute(sql).fetchall()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_file_of_each_version_has_the_schema_of_a_new_one(tmp_path: Path, version: int) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    load(version, old)
    for path in (old, new):
        async with Memory.open(path, embedder=SpellingEmbedder(dim=4)) as memory:
            await memory.add_fact("Ann", "knows", "Bob")
            await brought_up_to_date(memory)
        assert_sound(path)
    schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
    assert rows(old, schema) == rows(new, schema)


async def test_the_last_file_that_is_kept_is_of_this_version(tmp_path: Path) -> None:
    await fill(tmp_path / "new.db")
    kept, now = ((SCHEMAS / f"{VERSIONS[-1]}.sql").read_text().splitlines(), list(dump(tmp_path / "new.db")))
    made = [[line for line in "\n".join(lines).splitlines() if "INSERT" not in line] for lines in (kept, now)]
    assert made[0] == made[1], "keep a file of the new version: see filling.py"


async def test_names_that_only_differ_in_what_is_not_seen_become_one(migrated: Memory) -> None:
    acme = await migrated.entity("Acme\u2060 Corp")
    assert acme is not None and (acme.id, acme.name) == (1, "Acme Corp")
    assert len(await migrated.facts(acme, "makes")) == 5
    assert {fact.text for fact in await migrated.facts(acme, "is")} == {
        "Acme\u200b Corp is first",
        "Acme\u200b Corp is second",
        "Acme\u200b Corp is third",
    }
    for id in (3, 5, 7, 9, 27):
        assert await migrated.entity(id) == acme


async def test_facts_between_what_becomes_one_are_as_by_merge(migrated: Memory) -> None:
    assert [fact.text for fact in await migrated.facts("O'Brien")] == ["O'Brien drinks Coca-Cola"]
    [drinks] = await migrated.facts("O\u2019Brien", "drinks")
    assert len(await migrated.evidence(drinks)) == 1  # one agent said it, twice


async def test_types_are_as_if_asked_for_in_turn(migrated: Memory) -> None:
    company, fruit = await migrated.entity("Apple", "company"), await migrated.entity("Apple", "fruit")
    assert company is not None and fruit is not None and company != fruit
    assert await migrated.entity("Apple") == company == await migrated.entity(20)  # App-le, without a type
    assert (await migrated.entity("Pear", "fruit")) == await migrated.entity(21) == await migrated.entity(22)


async def test_an_alias_that_becomes_one_is_the_older_ones(migrated: Memory) -> None:
    ann, bob = await migrated.entity("Ann"), await migrated.entity("Bob")
    assert ann is not None and bob is not None and ann != bob
    assert await migrated.entity("Bob\u2060by\u2019s") == ann
    assert await migrated.entity("Robert") == await migrated.entity("Bobby") == bob


@pytest.mark.parametrize("version", VERSIONS)
async def test_words_find_what_had_other_names_in_an_earlier_file(db_path: Path, version: int) -> None:
    load(version, db_path)
    async with Memory.open(db_path) as memory:
        bob = await memory.entity("Bob")
        for name in ("Robert", "Bobby", "Bob"):
            found = await memory.recall(name, kinds=["entity"], strategy="hybrid")
            assert bob in [hit.item for hit in found if hit.bm25 is not None]
    assert_sound(db_path)


async def test_predicates_become_one_and_are_shown_as_they_were(migrated: Memory) -> None:
    for predicate in (CAFE, CAFE_IN_PARTS, CAFE.upper()):
        facts = await migrated.facts("Ann", predicate)
        assert [(fact.predicate, fact.text[-4:]) for fact in facts] == [(CAFE, "Oslo"), (CAFE_IN_PARTS, "rgen")]


async def test_values_become_one_in_their_canonical_form_alone(migrated: Memory) -> None:
    assert [fact.value for fact in await migrated.facts("Ann", "says")] == [CAFE, "10\u00b2", "102"]
    assert len(await migrated.facts("Ann", "says", value=CAFE_IN_PARTS)) == 1


async def test_what_was_expired_stays_as_it_was(db_path: Path) -> None:
    load(1, db_path)
    with closing(sqlite3.connect(db_path)) as conn:  # once stated in another way of writing, and retracted
        [fact] = conn.execute("SELECT id FROM fact WHERE predicate = ? LIMIT 1", (CAFE_IN_PARTS,)).fetchone()
        [same] = conn.execute("SELECT object FROM fact WHERE predicate = ?", (CAFE,)).fetchone()
        conn.execute("UPDATE fact SET object = ?, expired_at = created_at WHERE id = ?", (same, fact))
        conn.commit()
    [before] = rows(db_path, f"SELECT expired_at, superseded_by FROM fact WHERE id = {fact}")
    async with Memory.open(db_path):
        assert rows(db_path, f"SELECT expired_at, superseded_by FROM fact WHERE id = {fact}") == [before]


async def test_an_escaped_value_is_one_of_its_characters(db_path: Path) -> None:
    load(1, db_path)
    with closing(sqlite3.connect(db_path)) as conn:
        value = json.dumps("\n\u0301", ensure_ascii=False)
        conn.execute("UPDATE fact SET value = ? WHERE value = ?", (value, json.dumps("102")))
        conn.commit()
    async with Memory.open(db_path) as memory:
        [fact] = await memory.facts("Ann", value="\n\u0301")
        assert fact.value == "\n\u0301"


async def test_a_name_without_a_visible_character_keeps_its_entity(migrated: Memory) -> None:
    blank = await migrated.entity(37)
    assert blank is not None and blank.name == "\u200b"
    assert await migrated.db.read_value("SELECT key FROM entity_alias WHERE entity = 37") == "\u200b"
    with pytest.raises(ValueError, match="empty"):
        await migrated.entity("\u200b")


async def test_what_was_known_when_is_as_it_was(migrated: Memory) -> None:
    paper = await migrated.episode(key="paper")
    assert paper is not None and (paper.version, paper.content) == (2, "final")
    draft = await migrated.episode(paper.id - 1)
    assert draft is not None and draft.expired_at == paper.created_at
    [before] = await migrated.facts("Bob", "wrote", known_at=draft.created_at)
    assert before.text == "Bob wrote draft"


async def test_after_a_wrong_clock_the_present_is_found_again(migrated: Memory) -> None:
    fact = await migrated.add_fact("Bob", "is", "Here")
    known = await migrated.facts("Bob", "is", known_at=fact.created_at)
    assert [fact.text for fact in known] == ["Bob is Back", "Bob is Here"]


async def test_ids_of_what_was_forgotten_are_not_used_again(db_path: Path) -> None:
    load(1, db_path)
    [[last]] = rows(db_path, "SELECT seq FROM sqlite_sequence WHERE name = 'fact'")
    with closing(sqlite3.connect(db_path)) as conn:
        conn.execute("DELETE FROM fact_evidence WHERE fact = ?", (last,))
        conn.execute("DELETE FROM fact WHERE id = ?", (last,))
        conn.commit()
    async with Memory.open(db_path) as memory:
        assert (await memory.add_fact("Ann", "is", "new")).id == last + 1  # type: ignore[operator]


async def test_the_keys_of_another_normaliser_stay(db_path: Path) -> None:
    exact = Normaliser("exact-1", str.strip)
    load(1, db_path)
    with closing(sqlite3.connect(db_path)) as conn:
        conn.execute("UPDATE memory_meta SET value = 'exact-1' WHERE key LIKE '%normaliser'")
        conn.commit()
    aliases, predicates = "SELECT * FROM entity_alias ORDER BY 1, 2, 3", "SELECT id, predicate FROM fact ORDER BY 1"
    before = rows(db_path, aliases), rows(db_path, predicates)
    async with Memory.open(db_path, normaliser=exact, predicate_normaliser=exact):
        assert (rows(db_path, aliases), rows(db_path, predicates)) == before


async def test_a_file_is_migrated_once_however_many_open_it(db_path: Path) -> None:
    load(1, db_path)
    opened = await asyncio.gather(*(Memory.open(db_path) for _ in range(4)))
    for memory in opened:
        await memory.close()
    assert rows(db_path, "SELECT version FROM memory_migration ORDER BY 1") == [(version,) for version in VERSIONS]
    assert_sound(db_path)


async def test_no_name_of_a_new_file_may_be_taken_by_another_table(tmp_path: Path) -> None:
    async with Memory.open(tmp_path / "new.db"):
        pass
    names = rows(tmp_path / "new.db", "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
    assert len(names) > 50
    for number, [name] in enumerate(names):
        taken = tmp_path / f"{number}.db"
        with closing(sqlite3.connect(taken)) as conn:
            conn.execute(f"CREATE TABLE {name} (x)")
        with pytest.raises(ValueError, match=f"'{name}'"):
            await Memory.open(taken)


async def test_a_file_with_a_table_that_hides_json_each_is_refused(db_path: Path) -> None:
    with closing(sqlite3.connect(db_path)) as conn:
        conn.execute("CREATE TABLE JSON_EACH (x)")
    with pytest.raises(ValueError, match="called JSON_EACH, which hides"):
        await Memory.open(db_path)


@pytest.mark.parametrize("job", WRITING_VERBS.values(), ids=WRITING_VERBS)
async def test_a_job_sees_that_a_newer_process_has_migrated_the_file(db_path: Path, job) -> None:  # type: ignore[no-untyped-def]
    async with aiomemdb.connect(db_path) as db, Memory.open(db, embedder=SpellingEmbedder()) as memory:
        made = await remembered(memory)
        await db.write("INSERT INTO memory_migration VALUES (1000, 'from the future', 0)")
        events = await db.read_value("SELECT count(*) FROM memory_event")
        with pytest.raises(SchemaTooNew, match="update aiomemdb") as caught:
            await job(memory, made)
        assert caught.value.applied is False
        assert await db.read_value("SELECT count(*) FROM memory_event") == events


@pytest.mark.parametrize("version", [version for version in VERSIONS if version < 5])
async def test_what_an_earlier_version_made_is_not_implied(tmp_path: Path, version: int) -> None:
    path = tmp_path / "old.db"
    load(version, path)
    async with Memory.open(path, embedder=SpellingEmbedder(dim=4)) as memory:
        made = await memory.entities(limit=1000)
        assert made and not any(entity.implied for entity in made)
        assert [entity.id for entity in (await memory.graph()).entities] == [entity.id for entity in made]
        await memory.add_facts([("Ann", "knows", "somebody else")], missing="imply")
        [new] = await memory.add_entities(["somebody else"])
        assert new.new
        assert (await memory.graph()).entities[-1] == new.entity
