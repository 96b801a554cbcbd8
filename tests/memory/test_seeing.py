"""The page of a memory: what it holds is what the verbs answer at any time, and none of it is markup."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
import os
import random
import re
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aiomemdb import AiomemdbError, Entity, Memory, NotFound, Remembered, Statement
from aiomemdb.memory.deciding.picturing import LinksAround, walk
from aiomemdb.memory.deciding.steps import follow
from aiomemdb.memory.pictures import FIELDS, Picture, PictureQuery, choose, cut, known_times, milliseconds
from aiomemdb.memory.stores.sqlite.picturing import picture
from aiomemdb.memory.times import to_micros
from aiomemdb.view import document
from tests.memory.conftest import Target
from tests.memory.dict_database import DictDatabase
from tests.memory.support import AngleEmbedder, day

pytestmark = pytest.mark.engines_only

HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "javascript:alert(1)",
    "a\u2028b\u2029c",
    "\u202eevil\u202c",
    "${alert(1)} {{7*7}}",
    "]]>&amp;&lt;",
)


@pytest.fixture
async def memory(target: Target) -> AsyncIterator[Memory]:
    async with Memory.open(target, agent="ann") as memory:
        yield memory


def data_of(page: Path) -> dict[str, Any]:
    [packed] = re.findall(rb'<script id="data" type="application/gzip">([^<]*)</script>', page.read_bytes())
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed, validate=True)))
    return found


def rows(data: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [dict(zip(data["fields"][kind], row, strict=True)) for row in data[kind]]


async def exported(memory: Memory, folder: Path, **options: Any) -> dict[str, Any]:
    await memory.export_html(folder / "page.html", overwrite=True, **options)
    return data_of(folder / "page.html")


def shown(fact: dict[str, Any], as_of: datetime, known_at: datetime | None) -> bool:
    """As the page's own program decides it (model.js), which the tests of the page hold against the verbs too."""
    at = to_micros("as_of", as_of) // 1000
    if known_at is None:
        believed = fact["expired_at"] is None
    else:
        known = to_micros("known_at", known_at) // 1000
        began = fact["known_from"] is None or fact["known_from"] <= known
        ended = fact["expired_at"] is not None and (fact["known_until"] is None or fact["known_until"] <= known)
        believed = began and not ended
    return (
        believed
        and (fact["valid_at"] is None or fact["valid_at"] <= at)
        and (fact["invalid_at"] is None or fact["invalid_at"] > at)
    )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Sets what the clock says to jobs."""

    def set(now: datetime) -> None:
        micros = to_micros("now", now)
        monkeypatch.setattr("aiomemdb.memory.deciding.moment.now_micros", lambda: micros)

    return set


# -- what it holds ---------------------------------------------------------------------------------------------


async def test_the_page_shows_at_any_time_what_the_verbs_answer(
    memory: Memory, tmp_path: Path, clock: Callable[[datetime], None]
) -> None:
    chance = random.Random(7)
    odd = timedelta(microseconds=1)  # periods that begin and end beside whole milliseconds
    facts = []
    for step in range(80):
        clock(day(chance.randrange(40)) + odd * chance.randrange(3000))  # which goes back now and then
        subject, object = chance.sample(("Ada", "Ben", "Cleo", "Dan", "Eve"), 2)
        begin = None if chance.random() < 0.2 else day(chance.randrange(40)) + odd * chance.randrange(3000)
        end = None if begin is None or chance.random() < 0.5 else begin + timedelta(days=chance.randrange(1, 9))
        facts.append(
            await memory.add_fact(subject, "knows", object, valid_at=begin, invalid_at=end, replace=step % 3 == 0)
        )
        if step % 5 == 0:
            await memory.retract(chance.choice(facts))
    data = rows(await exported(memory, tmp_path), "facts")
    moments = [day(chance.randrange(-1, 42)) + timedelta(milliseconds=chance.randrange(9)) for _ in range(60)]
    for as_of, known_at in zip(moments, [None, *reversed(moments)], strict=False):
        answered = {fact.id for fact in await memory.facts(as_of=as_of, known_at=known_at)}
        assert {fact["id"] for fact in data if shown(fact, as_of, known_at)} == answered, (as_of, known_at)


async def test_a_fact_comes_with_its_evidence_and_its_quote_in_the_text(memory: Memory, tmp_path: Path) -> None:
    text = "x" * 9000 + " Ada moved to London in 1833. " + "y" * 9000
    await memory.remember(
        text, [Statement(subject="Ada", predicate="lives in", object="London", quote="moved to London")], key="letter"
    )
    data = await exported(memory, tmp_path)
    [line] = rows(data, "evidence")
    [episode] = rows(data, "episodes")
    assert (line["quote"], line["agent"], line["episode"]) == ("moved to London", "ann", episode["id"])
    assert "Ada moved to London in 1833." in episode["content"]
    assert (episode["key"], episode["length"]) == ("letter", len(text))
    assert text[episode["begin"] :].startswith(episode["content"])
    assert {(row["entity"], row["episode"]) for row in rows(data, "mentions")} == {
        (entity["id"], episode["id"]) for entity in rows(data, "entities")
    }


async def test_a_text_is_shown_around_a_quote_though_other_facts_of_it_have_none(
    memory: Memory, tmp_path: Path
) -> None:
    said = Statement(subject="Ada", predicate="lives in", object="London", quote="moved to London")
    await memory.remember("x" * 9000 + " Ada moved to London.", [said, ("Ada", "knows", "Ben")])
    [episode] = rows(await exported(memory, tmp_path), "episodes")
    assert "Ada moved to London." in episode["content"]


async def test_a_page_holds_names_values_near_names_and_all_namespaces_that_are_read(
    target: Target, tmp_path: Path
) -> None:
    near = AngleEmbedder(ada_lovelace=0, lady_lovelace=20)
    async with Memory.open(target, embedder=near, namespace="mine") as memory:
        ada = await memory.find_or_create_entity("Ada Lovelace", "person", "a mathematician")
        await memory.add_alias(ada, "Countess")
        await memory.find_or_create_entity("Lady Lovelace", "person")
        for value in ("1815", 1815, 18.5, True):
            await memory.add_fact(ada, "is", value=value)
        await memory.scoped(namespace="team").add_fact("Ben", "knows", "Cleo")
        await memory.scoped(namespace="secret").add_fact("Dan", "knows", "Eve")
        data = await exported(memory.scoped(also_read=["team"]), tmp_path)
    names = {entity["name"]: entity for entity in rows(data, "entities")}
    assert set(names) == {"Ada Lovelace", "Lady Lovelace", "Ben", "Cleo"}
    assert (names["Ada Lovelace"]["description"], names["Ada Lovelace"]["aliases"]) == ("a mathematician", ["countess"])
    assert [fact["value"] for fact in rows(data, "facts") if fact["predicate"] == "is"] == ["1815", 1815, 18.5, True]
    ids = {names["Ada Lovelace"]["id"], names["Lady Lovelace"]["id"]}
    [cosine] = [pair["cosine"] for pair in rows(data, "near") if {pair["a"], pair["b"]} == ids]
    assert cosine == pytest.approx(math.cos(math.radians(20)), abs=0.001)
    assert data["totals"] == {"entities": 4, "facts": 5, "texts": 0}
    assert data["namespaces"] == ["mine", "team"]


async def test_what_is_asked_for_by_its_id_leaves_nothing_of_a_namespace_that_is_not_read(target: Target) -> None:
    async with Memory.open(target, embedder=AngleEmbedder(eve=0, evie=20), namespace="secret") as memory:
        fact = await memory.remember("Eve hides a key.", [("Eve", "knows", "Evie")])
        [near] = (await picture_of(memory, ["secret"], fact)).near
        assert near[:2] == sorted(entity.id for entity in fact.entities)
        shown = await picture_of(memory, ["default"], fact)
        assert not any(getattr(shown, kind) for kind in FIELDS)


async def picture_of(memory: Memory, namespaces: list[str], said: Remembered) -> Picture:
    """What is shown of rows that are asked for."""
    ids = {"facts": [one.id for one in said.facts], "texts": [said.episode.id]}
    store = memory._core.store
    return await store.picture(namespaces, PictureQuery([one.id for one in said.entities], 1, 100, **ids))


async def test_of_more_than_the_limit_the_best_connected_and_the_newest_are_shown(
    memory: Memory, tmp_path: Path
) -> None:
    await memory.remember("a", [("hub", "links", f"leaf {number}") for number in range(40)])
    await memory.remember("b", [("last one", "links", "last two")])
    data = await exported(memory, tmp_path, limit=8)
    names = [entity["name"] for entity in rows(data, "entities")]
    assert len(names) == 8
    assert {"hub", "last one", "last two"} <= set(names)
    assert data["totals"]["entities"] == 43


async def test_a_page_around_a_name_holds_what_is_near_it(memory: Memory, tmp_path: Path) -> None:
    await memory.remember("a", [(f"n{number}", "next", f"n{number + 1}") for number in range(9)])
    data = await exported(memory, tmp_path, around="N4", hops=2)
    assert {entity["name"] for entity in rows(data, "entities")} == {"n2", "n3", "n4", "n5", "n6"}
    assert data["around"] == "N4"
    assert len(rows(data, "facts")) == 4
    ada = await memory.entity("n0")
    assert isinstance(ada, Entity)
    data = await exported(memory, tmp_path, around=ada, hops=1)
    assert {entity["name"] for entity in rows(data, "entities")} == {"n0", "n1"}


async def test_ten_thousand_facts_of_one_entity_and_a_huge_value_make_a_small_page(
    memory: Memory, tmp_path: Path
) -> None:
    await memory.remember("t", [Statement(subject="hub", predicate="is", value=number) for number in range(10_000)])
    await memory.add_fact("hub", "says", value="v" * 1_000_000)
    await memory.remember("w" * 1_000_000, mentions=["hub"])
    data = await exported(memory, tmp_path)
    [hub] = rows(data, "entities")
    assert hub["degree"] == 10_001
    assert 100 < len(data["facts"]) < 1000
    [said] = [fact for fact in rows(data, "facts") if fact["predicate"] == "says"]
    assert len(said["value"]) < 500
    assert "1,000,000 characters" in said["value"]
    assert (tmp_path / "page.html").stat().st_size < 700_000


@pytest.mark.sqlite_only
async def test_a_page_of_many_texts_takes_no_more_statements(db_path: Path) -> None:
    async def statements(texts: int) -> int:
        async with Memory.open(db_path) as memory:
            for number in range(texts):
                await memory.remember(
                    f"Ada said {number}. {'so ' * 2000}", [Statement(subject="Ada", predicate="said", value=number)]
                )
        with closing(sqlite3.connect(db_path)) as conn:
            asked: list[str] = []
            conn.set_trace_callback(asked.append)
            found = picture(conn, ["default"], PictureQuery(None, 1, 100))
        assert len(found.episodes) >= texts
        return len(asked)

    assert await statements(1) == await statements(30)


async def test_what_was_merged_away_is_no_entity_of_the_totals(memory: Memory, tmp_path: Path) -> None:
    for view in (memory, memory.scoped(namespace="other")):
        await view.add_fact("Bob", "plays", "chess")
        await view.add_fact("Robert", "plays", "go")
        bob, robert = await view.entity("Bob"), await view.entity("Robert")
        assert bob is not None
        assert robert is not None
        await view.merge(bob, robert)
    assert (await exported(memory, tmp_path))["totals"] == {"entities": 3, "facts": 2, "texts": 0}


async def test_an_empty_memory_makes_a_page(memory: Memory, tmp_path: Path) -> None:
    data = await exported(memory, tmp_path)
    assert (data["entities"], data["totals"]) == ([], {"entities": 0, "facts": 0, "texts": 0})


async def test_two_pages_of_one_memory_differ_by_when_they_were_made_alone(memory: Memory, tmp_path: Path) -> None:
    await memory.remember("a", [(f"n{number}", "next", f"n{number * 7 % 13}") for number in range(1, 30)])
    one, two = await exported(memory, tmp_path), await exported(memory, tmp_path)
    del one["made_at"], two["made_at"]
    assert one == two


# -- what it never holds ---------------------------------------------------------------------------------------


async def test_nothing_of_the_memory_is_markup(memory: Memory, tmp_path: Path) -> None:
    for text in HOSTILE:
        await memory.remember(
            text, [Statement(subject=text, predicate=text, value=text, quote=text)], key=text, source=text
        )
        await memory.find_or_create_entity(text, text, text)
    empty = tmp_path / "empty.html"
    async with Memory.open(tmp_path / "other.db") as other:
        await other.export_html(empty)
    await memory.export_html(tmp_path / "</title><script>alert(1)</script>".replace("/", "\u2215"))
    [page] = tmp_path.glob("*alert*")

    def around_the_data(path: Path) -> bytes:
        return re.sub(
            rb'(<script id="data" type="application/gzip">)[A-Za-z0-9+/=]*(</script>)', rb"\1\2", path.read_bytes()
        )

    assert around_the_data(page) == around_the_data(empty)
    # A name has one kind of space; a text is kept as it is.
    held = data_of(page)
    assert {entity["name"] for entity in rows(held, "entities")} == {" ".join(text.split()) for text in HOSTILE}
    assert {episode["content"] for episode in rows(held, "episodes")} == set(HOSTILE)


async def test_the_policy_lets_run_the_built_program_alone_and_fetch_nothing(memory: Memory, tmp_path: Path) -> None:
    await memory.export_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    [policy] = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    directives = dict(part.split(" ", 1) for part in policy.split("; "))
    [program] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(program.encode()).digest()).decode()
    assert directives["script-src"] == f"'sha256-{digest}'"
    assert directives["default-src"] == directives["connect-src"] == directives["base-uri"] == "'none'"
    assert "unsafe" not in policy
    assert re.findall(r"<(?:link|img|script|iframe)[^>]+(?:src|href)=\"(?!data:)", page) == []


def test_what_is_built_is_what_its_hashes_say() -> None:
    lines = (document.BUILT / "SHA256SUMS").read_text().splitlines()
    found = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert found.keys() == {"page.js", "page.css"}
    for name, digest in found.items():
        assert hashlib.sha256((document.BUILT / name).read_bytes()).hexdigest() == digest, name
    assert "</script" not in (document.BUILT / "page.js").read_text()


# -- what is wrong ---------------------------------------------------------------------------------------------


async def test_a_page_that_is_there_is_replaced_by_wish_alone(memory: Memory, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        await memory.export_html(page)
    assert page.read_text() == "mine"
    await memory.export_html(page, overwrite=True)
    assert page.read_bytes().startswith(b"<!doctype html>")
    assert not list(tmp_path.glob(".page*"))


def test_a_page_made_meanwhile_by_another_process_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("theirs")  # after it was checked
    with pytest.raises(FileExistsError, match="meanwhile"):
        document.write_page(page, b"ours", overwrite=False)
    assert page.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [page]


async def test_a_folder_that_is_not_there_or_is_none_is_named(memory: Memory, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="create it first"):
        await memory.export_html(tmp_path / "nowhere" / "page.html")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="no folder"):
        await memory.export_html(tmp_path / "file" / "page.html")
    with pytest.raises(IsADirectoryError, match=r"memory\.html"):
        await memory.export_html(tmp_path)


async def test_a_folder_that_can_not_be_written_is_named(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path and allowed(path, mode))  # for root
    with pytest.raises(PermissionError, match="can't be written"):
        await memory.export_html(tmp_path / "page.html")


async def test_an_unknown_name_is_answered_with_near_ones(memory: Memory, tmp_path: Path) -> None:
    await memory.add_fact("Ada Lovelace", "knows", "Charles Babbage")
    with pytest.raises(NotFound, match="did you mean 'Ada Lovelace'"):
        await memory.export_html(tmp_path / "page.html", around="Ada Lovelase")
    with pytest.raises(NotFound, match="did you mean 'Charles Babbage'"):
        await memory.export_html(tmp_path / "page.html", around="babbage")
    with pytest.raises(NotFound, match=r"no entity 'Zzz'$"):
        await memory.export_html(tmp_path / "page.html", around="Zzz")
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("options", [{"hops": 0}, {"limit": 0}, {"limit": 50_001}, {"hops": True}, {"around": 7}])
async def test_what_is_no_count_or_no_name_is_refused(memory: Memory, tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        await memory.export_html(tmp_path / "page.html", **options)


async def test_a_page_is_made_outside_of_transactions_of_a_memory_in_a_database(memory: Memory, tmp_path: Path) -> None:
    async with memory.db.transaction() as tx:
        with pytest.raises(AiomemdbError, match="outside of transactions"):
            await memory.within(tx).export_html(tmp_path / "page.html")
    async with Memory.open(DictDatabase()) as other:
        with pytest.raises(AiomemdbError, match="in a database"):
            await other.export_html(tmp_path / "page.html")


# -- the rules -------------------------------------------------------------------------------------------------


def test_milliseconds_are_rounded_up() -> None:
    assert [milliseconds(micros) for micros in (None, 0, 1, 999, 1000, 1001, -1, -1000, -1001)] == [
        None, 0, 1, 1, 1, 2, 0, -1, -1,
    ]  # fmt: skip


def test_an_event_is_known_from_the_least_clock_behind_it() -> None:
    known = known_times([(5, 30), (9, 10)])
    assert [known(event, at) for event, at in ((0, 7), (1, 20), (4, 90), (5, 30), (8, 60), (9, 10), (12, 50))] == [
        None, 10, 10, 10, 10, 10, 50,
    ]  # fmt: skip


def test_facts_lead_to_chosen_entities_alone() -> None:
    links = [(number, number % 9, None if number % 4 == 0 else (number * 5) % 11) for number in range(90, 0, -1)]
    degrees, facts = choose(links, [], 5)
    ends = {fact: (subject, object) for fact, subject, object in links}
    assert len(degrees) == 5
    assert all(subject in degrees and (object is None or object in degrees) for subject, object in map(ends.get, facts))  # type: ignore[misc]


def test_the_best_connected_come_first_and_of_equals_the_older() -> None:
    chance = random.Random(5)
    for _ in range(300):
        links = [
            (fact, chance.randint(1, 20), chance.choice([None, chance.randint(1, 20)]))
            for fact in range(chance.randint(0, 40), 0, -1)
        ]
        degree = Counter(end for _, subject, object in links for end in {subject, object} - {None})
        ranked = sorted(degree, key=lambda id: (-degree[id], id))
        for limit in (1, 4, 30):
            chosen, _ = choose(links, [], limit)
            assert list(chosen.items()) == [(id, degree[id]) for id in ranked[:limit]]


def test_a_walk_ends_at_its_limit_with_the_best_linked() -> None:
    links = [(1, 0, 1), (2, 0, 2), (3, 0, 2), (4, 2, 3), (5, 1, 4)]

    def around(_: None, request: LinksAround) -> list[tuple[int, int, int | None]]:
        return [link for link in links if link[1] in request.entities or link[2] in request.entities]

    degrees, facts = follow(walk([0], 3, 2, {}, 50), {LinksAround: around}, None)
    assert (list(degrees), facts) == ([0, 2], [3, 2])


def test_a_long_text_says_how_long_it_is() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "abc… (4 characters)"


def test_times_of_a_page_fit_a_number_of_javascript() -> None:
    latest = to_micros("t", datetime.max.replace(tzinfo=UTC))
    assert abs(milliseconds(latest) or math.inf) < 2**53
