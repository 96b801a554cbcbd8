"""recall by words: in every script, written in every form; dates, numbers and quotes; among what is readable."""

from __future__ import annotations

import sqlite3
import unicodedata
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb import Entity, Episode, Memory, Name, Statement
from aiomemdb.memory.deciding import recalling
from aiomemdb.memory.stores.sqlite import indexing, search
from aiomemdb.memory.stores.sqlite.jobs import Job
from tests.memory.conftest import assert_sound
from tests.memory.filling import SCHEMAS, load
from tests.memory.support import day
from tests.memory.test_recall import said

# -- scripts and forms


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("我們在東京鐵塔見面", "東京鐵塔在哪裡"),
        ("昨日は京都で寿司を食べた", "寿司"),
        ("黒猫が好き", "猫"),
        ("서울에서 친구를 만났다", "친구"),
        ("วันนี้ฉันไปตลาด", "ตลาด"),
        ("ΑΘΗΝΑ είναι", "αθήνα"),
        ("Фёдор пишет", "федор"),
        ("Das Wasser in Łódź", "Lodz"),
        ("die Straße", "STRASSE"),
        ("ﬁsh and water", "fish"),
        ("co\u00adoperate", "cooperate"),
        ("ＡＢＣ Corp", "abc"),
        ("हिन्दी में", "हिन्दी"),
    ],
)
async def test_a_text_is_found_however_it_is_written(memory: Memory, text: str, question: str) -> None:
    await memory.remember("我们在北京, 大阪で, 부산에서, ที่บ้าน, Ρώμη, Рим, Krakow, Weg, meat, xyz, मराठी")
    await memory.remember(text)
    assert said(await memory.recall(question))[:1] == [text]
    fact = await memory.add_fact("Ada", "says", value=text)
    assert fact in [hit.item for hit in await memory.recall(question, kinds=["fact"])]
    entity = await memory.find_or_create_entity("somebody", description=text)
    assert entity in [hit.item for hit in await memory.recall(question, kinds=["entity"])]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("server 192.168.1.17", "server 17.1.168.192, 192.168.17.1"),
        ("release 3.11.2", "release 2.11.3, 11.3.2"),
        ("call +49 30 555-1234", "call +49 30 1234-555"),
        ("ticket AB-12-7", "ticket AB-7-12, 12-AB-7"),
        ("see /var/log/app1", "see /app1/log/var"),
        ("on 2024-02-01", "on 2024-01-02"),
        ("at 12:30", "at 30:12"),
    ],
)
async def test_the_pieces_of_one_token_stand_together(memory: Memory, right: str, wrong: str) -> None:
    for n in range(3):
        await memory.remember(f"{wrong} {wrong} {n}")
    await memory.remember(f"{right} and more, which makes it long enough to be ranked behind by its length alone")
    found = await memory.recall(f"What of {right.split()[-1]}?")
    assert said(found)[0].startswith(right)


# -- dates


async def test_a_diary_is_found_by_the_day(memory: Memory) -> None:
    for month, number in ((1, 2), (2, 1), (3, 1)):
        await memory.remember(f"entry {month} {number}", occurred_at=datetime(2024, month, number, 12, tzinfo=UTC))
    for question in ("What on 1 February?", "Feb 1st, 2024", "2024-02-01", "1.2.2024", "2024年2月1日"):
        assert said(await memory.recall(question)) == ["entry 2 1"], question
    assert said(await memory.recall("What happened in February 2024?")) == ["entry 2 1"]
    assert said(await memory.recall("1 February 2023")) == []


async def test_the_day_is_that_of_where_it_happened(memory: Memory) -> None:
    tokyo = timezone(timedelta(hours=9))
    await memory.remember("early", occurred_at=datetime(2024, 2, 1, 3, tzinfo=tokyo))
    assert said(await memory.recall("1 February 2024")) == ["early"]


async def test_written_dates_meet_each_other(memory: Memory) -> None:
    await memory.remember("We met on Feb. 1st, 2024")
    await memory.remember("We met on 2 January 2024")
    assert said(await memory.recall("Who met on 2024-02-01?"))[0] == "We met on Feb. 1st, 2024"


# -- what is found besides


async def test_a_fact_is_found_by_its_quotes_and_its_value(memory: Memory) -> None:
    letter = await memory.remember(
        "A letter", [Statement(subject="Ada", predicate="is", value="Gräfin", text="of rank", quote="a noble zebra")]
    )
    [fact] = letter.facts
    for question in ("zebra", "grafin"):
        assert fact in [hit.item for hit in await memory.recall(question, kinds=["fact"], strategy="hybrid")]
    other = await memory.remember(
        "Another", [Statement(subject="Ada", predicate="is", value="Gräfin", text="of rank", quote="okapi")]
    )
    assert other.facts[0].id == fact.id
    for question in ("zebra", "okapi"):
        assert len(await memory.recall(question, kinds=["fact"], strategy="hybrid")) == 1
    await memory.forget(other.episode)
    assert len(await memory.recall("okapi", kinds=["fact"], strategy="hybrid")) == 0
    assert len(await memory.recall("zebra", kinds=["fact"], strategy="hybrid")) == 1


async def test_a_fact_that_takes_anothers_evidence_is_found_by_its_quotes(memory: Memory) -> None:
    await memory.add_fact("Ada", "likes", "tea", quote="zebra")
    await memory.scoped(agent="bot").add_fact("Countess", "likes", "tea", quote="okapi")
    ada, countess = await memory.entity("Ada"), await memory.entity("Countess")
    assert ada is not None and countess is not None
    await memory.merge(ada, countess)
    for question in ("zebra", "okapi"):
        assert len(await memory.recall(question, kinds=["fact"], strategy="hybrid")) == 1


async def test_what_is_left_of_a_superseded_fact_is_found_by_its_quotes(memory: Memory) -> None:
    await memory.add_fact("Ada", "lives in", value="Ockham", valid_at=day(0), quote="zebra")
    await memory.scoped(agent="bot").add_fact("Ada", "lives in", value="Ockham", valid_at=day(0), quote="okapi")
    await memory.remember(
        "A text that says the one again and then the other.",
        [
            Statement(subject="Ada", predicate="lives in", value="Ockham", valid_at=day(0), quote="quagga"),
            Statement(subject="Ada", predicate="lives in", value="London", valid_at=day(9), replace=True),
        ],
    )
    [rest] = await memory.facts("Ada", as_of=day(1))
    for question in ("zebra", "okapi", "quagga"):
        [found] = await memory.recall(question, kinds=["fact"], strategy="hybrid", as_of=day(1))
        assert found.item == rest


async def test_an_entity_that_gets_a_type_is_found_by_its_other_names(memory: Memory) -> None:
    ada = await memory.find_or_create_entity("Ada")
    await memory.add_alias(ada, "東京鐵塔")
    await memory.remember("A text", [Statement(subject=Name("Ada", "person"), predicate="is", value="here")])
    [found] = await memory.recall("東京", kinds=["entity"], strategy="hybrid")
    assert isinstance(found.item, Entity)
    assert (found.item.id, found.item.type) == (ada.id, "person")


async def test_people_are_called_will_and_may(memory: Memory) -> None:
    for name in ("Will", "May", "Ann", "Bob"):
        await memory.remember(f"{name} lives by the sea")
    for question in ("Where does Will live?", "where does will live"):
        assert said(await memory.recall(question))[0] == "Will lives by the sea"
    assert said(await memory.recall("And where does May live?"))[0] == "May lives by the sea"


async def test_a_name_at_the_end_of_a_long_question_is_found(memory: Memory) -> None:
    ada = await memory.find_or_create_entity("Ada Lovelace")
    await memory.add_alias(ada, "Countess")
    await memory.add_fact(ada, "likes", "roses")
    padding = " ".join(f"word{n}" for n in range(500))
    assert said(await memory.recall(f"{padding} and the Countess?")) == ["Ada Lovelace likes roses"]
    assert said(await memory.recall(f"{padding} roses")) == ["Ada Lovelace likes roses"]


# -- among what is readable


@pytest.mark.sqlite_only
async def test_what_others_have_takes_no_word_from_a_question(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_RANKED", 5)
    await memory.remember("common words")
    for n in range(4):
        await memory.remember(f"rare {n}")
    team = memory.scoped(namespace="team")
    for n in range(20):
        await team.remember(f"common {n}")
    found = await memory.recall("common rare")
    assert len(found) == 5 and "common words" in said(found)
    for n in range(20):
        await memory.remember(f"common {n} of old", key="it", replace=n > 0)
    assert "common words" in said(await memory.recall("common rare"))


@pytest.mark.sqlite_only
async def test_nothing_of_another_namespace_changes_which_hits_are_found(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_RANKED", 5)
    words = ["alpha", "beta", "gamma", "delta"]
    for n in range(12):
        await memory.remember(" ".join(word for place, word in enumerate(words) if n % (place + 2) == 0) or "none")
    questions = ["alpha beta", "gamma delta", "alpha gamma delta beta", "who is beta"]
    before = [{hit.item for hit in await memory.recall(question, limit=100)} for question in questions]
    team = memory.scoped(namespace="team")
    for n in range(40):
        await team.remember(words[n % 4] * 1 + " " + words[n % 3], [(words[n % 2], "is", words[n % 3])])
    after = [{hit.item for hit in await memory.recall(question, limit=100)} for question in questions]
    assert after == before


async def test_a_text_can_not_look_like_a_scope(memory: Memory) -> None:
    await memory.scoped(namespace="other").remember("\uf8f0b1 n1 b1 roses")
    await memory.remember("tulips")
    for question in ("roses", "b1", "\uf8f0b1 roses"):
        assert len(await memory.recall(question)) == 0


# -- files of earlier versions


@pytest.mark.parametrize("version", [1, 2, 3])
async def test_a_file_is_usable_while_its_words_are_indexed_anew(
    db_path: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(version, db_path)
    monkeypatch.setattr(indexing, "_SLICE", 1)

    async def nothing(self: object) -> None: ...

    monkeypatch.setattr("aiomemdb.memory.stores.sqlite.store.SQLiteStore.sweep", nothing)
    async with aiomemdb.connect(db_path) as db, Memory.open(db) as memory:
        left = True
        slices = 0
        while left:
            slices += 1
            new = await memory.remember(f"新しい texte {slices}", key="new", replace=slices > 1)
            for question, text in (("third", "the third"), ("final", "final"), ("新しい", new.episode.content)):
                assert text in said(await memory.recall(question, kinds=["episode"], strategy="hybrid")), question
            bob = await memory.recall("Robert", kinds=["entity"], strategy="hybrid")
            assert [getattr(hit.item, "name", "") for hit in bob] == ["Bob"]
            if slices == 5:
                await memory.forget(new.episode)
            left = await db.write_fn(Job(indexing.index_slice))
    assert slices > 20
    assert_sound(db_path)
    with closing(sqlite3.connect(db_path)) as conn:
        for table in ("entity", "episode", "fact"):
            assert conn.execute(f"SELECT count(*) FROM {table} WHERE terms IS NULL").fetchone() == (0,)
        assert conn.execute(
            "SELECT count(*) FROM sqlite_schema WHERE name LIKE '%\\_words%' ESCAPE '\\'"
        ).fetchone() == (0,)


async def test_an_old_file_is_brought_up_to_date_in_the_background(db_path: Path) -> None:
    load(3, db_path)
    async with Memory.open(db_path) as memory:
        sweeping = memory._core._sweeping
        assert sweeping is not None
        await sweeping
        assert await memory.db.read_fn(indexing.unindexed) == []
    assert max(int(path.stem) for path in SCHEMAS.glob("*.sql")) == 6


async def test_what_changes_before_its_turn_is_indexed_once(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(3, db_path)

    async def nothing(self: object) -> None: ...

    with monkeypatch.context() as context:
        context.setattr("aiomemdb.memory.stores.sqlite.store.SQLiteStore.sweep", nothing)
        async with Memory.open(db_path) as memory:
            bob = await memory.entity("Bob")
            assert bob is not None
            await memory.update_entity(bob, description="plays the zither")
            [hit] = await memory.recall("zither", kinds=["entity"], strategy="hybrid")
            await memory.forget(bob)
            assert len(await memory.recall("zither", kinds=["entity"], strategy="hybrid")) == 0
            assert hit.item.id == bob.id
    async with Memory.open(db_path) as memory:
        assert memory._core._sweeping is not None
        await memory._core._sweeping
    assert_sound(db_path)


# -- what is shown


async def test_of_equals_the_newest_comes_first(memory: Memory) -> None:
    for n in range(5):
        await memory.remember("the same words", metadata={"n": n})
    assert [hit.item.id for hit in await memory.recall("same words")] == [5, 4, 3, 2, 1]


async def test_of_more_equals_than_there_are_candidates_the_newest_are_found(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recalling, "CANDIDATES", 3)
    for number in range(8):
        await memory.remember("the tide is high", key=str(number))
    found = await memory.recall("high tide", strategy="hybrid")
    assert [hit.item.key for hit in found if isinstance(hit.item, Episode)] == ["7", "6", "5"]


async def test_a_prompt_shows_the_place_that_matched(memory: Memory) -> None:
    await memory.remember("Filler about nothing. " * 60 + "The harbour was dredged by monks. " + "More. " * 100)
    prompt = (await memory.recall("Who dredged the harbour?")).to_prompt(160)
    assert "dredged by monks" in prompt


async def test_what_was_found_fits_a_terminal(memory: Memory) -> None:
    await memory.remember("我們在東京鐵塔見面 " * 30, [("Ada", "lives in", "東京")])
    await memory.find_or_create_entity("Tokyo", description="東京, a city\n" * 20)
    found = await memory.recall("東京" * 40, kinds=["fact", "episode", "entity"])
    lines = str(found).splitlines()
    assert len(lines) == 1 + len(found) == 6 and "5 of 5 found" in lines[0]
    for line in lines:
        assert sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in line) <= 80
    assert {hit.text.split()[0] for hit in found} == {"Ada", "我們在東京鐵塔見面", "Tokyo:", "東京"}
