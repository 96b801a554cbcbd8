"""A memory as a folder of notes, and notes as a memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aiomemdb import FormatError, Memory, Name
from tests.memory.support import day


async def filled(memory: Memory) -> None:
    ann = await memory.find_or_create_entity("Ann", "person", "A singer.")
    await memory.remember(
        "Ann works at Acme, she said.",
        [(ann, "works at", Name("Acme/Inc", "company"))],
        key="diary",
        occurred_at=day(3),
    )
    old = await memory.add_fact("Ann", "age", value=7, valid_at=day(0))
    await memory.retract(old)
    await memory.add_fact("Ann", "says", value='a "b" [[c]]\nd')
    await memory.add_fact("Apple", "is", value=True)
    for kind in ("fruit", "company"):
        await memory.find_or_create_entity("Apple", kind)


def pages(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.glob("*.md"))}


async def test_an_entity_is_a_page_with_its_facts_their_times_and_what_evidences_them(
    memory: Memory, tmp_path: Path
) -> None:
    await filled(memory)
    written = await memory.export_markdown(tmp_path / "notes")
    assert (written.pages, written.written, written.removed) == (4, 4, 0)
    found = pages(tmp_path / "notes")
    assert list(found) == ["Acme Inc.md", "Ann.md", "Apple (company).md", "Apple.md"]
    page = found["Ann.md"].splitlines()
    assert page[:5] == ["---", "aiomemdb: 1", 'name: "Ann"', 'type: "person"', 'description: "A singer."']
    assert "# Ann" in page
    at = page.index("- works at:: [[Acme Inc|Acme/Inc]]")
    assert page[at + 1].startswith("  - diary, 2020-01-04, noted 20")
    assert '- says:: "a \\"b\\" [\\u005bc]]\\nd"' in page
    assert any(line.startswith("- ~~age:: 7 (from 2020-01-01)~~ believed from ") for line in page)


async def test_the_same_memory_is_the_same_bytes_and_what_changed_alone_is_written(
    memory: Memory, tmp_path: Path
) -> None:
    await filled(memory)
    await memory.export_markdown(tmp_path / "notes")
    before = pages(tmp_path / "notes")
    again = await memory.export_markdown(tmp_path / "notes")
    assert (again.pages, again.written, again.removed) == (4, 0, 0)
    assert pages(tmp_path / "notes") == before
    await memory.add_fact("Apple", "is", value="round")
    acme = await memory.entity("Acme/Inc")
    assert acme is not None
    await memory.forget(acme)
    third = await memory.export_markdown(tmp_path / "notes")
    assert (third.pages, third.written, third.removed) == (3, 2, 1)
    assert "Acme Inc.md" not in pages(tmp_path / "notes")


async def test_a_page_that_is_in_the_way_is_an_error_and_nothing_is_written(memory: Memory, tmp_path: Path) -> None:
    await filled(memory)
    (tmp_path / "Ann.md").write_text("mine")
    with pytest.raises(FileExistsError, match=r"Ann\.md"):
        await memory.export_markdown(tmp_path)
    assert list(pages(tmp_path)) == ["Ann.md"]
    await memory.export_markdown(tmp_path, overwrite=True)
    assert len(pages(tmp_path)) == 4


async def test_what_was_written_is_brought_in_with_its_facts(memory: Memory, tmp_path: Path) -> None:
    await filled(memory)
    await memory.export_markdown(tmp_path)
    other = memory.scoped(namespace="other")
    imported = await other.import_(tmp_path)
    assert (imported.rows, imported.new) == (4, 4)
    assert {(each.name, each.type) for each in await other.entities()} == {
        (each.name, each.type) for each in await memory.entities()
    }
    facts, theirs = await other.facts(as_of=day(9)), await memory.facts(as_of=day(9))
    assert {(fact.predicate, fact.value, fact.valid_at) for fact in facts} == {
        (fact.predicate, fact.value, fact.valid_at) for fact in theirs
    }
    assert (await other.import_(tmp_path)).new == 0


NOTES = {
    "Ann.md": (
        "---\naliases: [Annie]\nborn: 1815\n---\nAnn knows [[Bob]] from [[places/Rome]].\n- works at:: [[Acme]]\n"
    ),
    "people/Bob.md": "---\ntitle: Bob Jones\ntype: person\n---\nJust Bob.\n",
    "places/Rome.md": "A city.",
}


def write(folder: Path, notes: dict[str, str] = NOTES) -> Path:
    for name, text in notes.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(text)
    return folder


async def test_a_folder_of_notes_is_texts_entities_and_facts(memory: Memory, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    imported = await memory.import_(write(tmp_path / "n"), progress=lambda *now: seen.append(now))
    assert (imported.rows, imported.new, seen[-1]) == (3, 3, (3, 3))
    note = await memory.episode(key="Ann.md")
    assert note is not None and note.content == NOTES["Ann.md"]
    ann, bob = await memory.entity("Annie"), await memory.entity("Bob")
    assert ann is not None and ann.name == "Ann"
    assert bob is not None and (bob.name, bob.type) == ("Bob Jones", "person")
    assert [(fact.predicate, fact.value) for fact in await memory.facts("Ann")] == [("born", 1815), ("works at", None)]
    assert [fact.text for fact in await memory.facts("Ann", "works at")] == ["Ann works at Acme"]
    assert (await memory.counts()).mentions == 6  # Ann.md: Ann, Bob, Rome, Acme; the others themselves
    assert len(await memory.entities()) == 4
    counts = await memory.counts()
    assert (await memory.import_(tmp_path / "n")).new == 0
    assert await memory.counts() == counts


async def test_a_note_that_changed_is_the_next_version_and_what_it_says_no_more_is_taken_back(
    memory: Memory, tmp_path: Path
) -> None:
    await memory.import_(write(tmp_path / "n"))
    write(tmp_path / "n", {"Ann.md": "---\nborn: 1815\n---\nShe left."})
    assert (await memory.import_(tmp_path / "n")).new == 1
    assert [fact.predicate for fact in await memory.facts("Ann")] == ["born"]
    note = await memory.episode(key="Ann.md")
    assert note is not None and note.version == 2


async def test_a_wrong_note_is_an_error_and_nothing_is_written(memory: Memory, tmp_path: Path) -> None:
    write(tmp_path / "n", {**NOTES, "z.md": "---\nopen: yes\n"})
    with pytest.raises(FormatError, match=r"z\.md"):
        await memory.import_(tmp_path / "n")
    write(tmp_path / "n", {"z.md": " "})
    with pytest.raises(FormatError, match=r"z\.md: content is empty"):
        await memory.import_(tmp_path / "n")
    assert (await memory.counts()).entities == 0
    os.mkdir(tmp_path / "empty")
    with pytest.raises(FormatError, match="no Markdown"):
        await memory.import_(tmp_path / "empty")
