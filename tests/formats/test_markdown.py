"""Notes as note programs write them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from aiomemdb import FormatError
from aiomemdb.formats.markdown import Link, Note, find_notes, read_note
from aiomemdb.formats.pages import Folder, PageNames


def note(folder: Path, text: str, name: str = "Ann.md") -> Note:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_note(folder, path)


def test_front_matter_says_what_a_note_is_of(tmp_path: Path) -> None:
    read = note(
        tmp_path,
        '---\ntitle: "Ann \\"A\\" Lee"\ntype: person\naliases: [Annie, "Lee, Ann"]\ndate: 2026-03-01\n'
        "works at: [[people/Acme|the firm]]\nage: 7\ncity: Oslo\nretired: false\nzip: '0150'\n"
        "knows:\n  - [[Bob]]\n  - Carl\n"
        "tags: [a, b]\n# a remark\n---\nText.\n",
    )
    assert (read.name, read.type, read.aliases) == ('Ann "A" Lee', "person", ["Annie", "Lee, Ann"])
    assert read.when == datetime(2026, 3, 1, tzinfo=UTC)
    assert [(predicate, said) for predicate, said, _, _ in read.facts] == [
        ("works at", Link("Acme")),
        ("age", 7),
        ("city", "Oslo"),
        ("retired", False),
        ("zip", "0150"),
        ("knows", Link("Bob")),
        ("knows", "Carl"),
    ]
    assert read.tags == {"tags": ["a", "b"]}


def test_links_are_those_of_the_text_and_not_of_code_or_pictures(tmp_path: Path) -> None:
    read = note(
        tmp_path,
        "See [[Bob]], [[notes/Carl#Life|him]] and [[Bob]].\n![[picture.png]]\n`[[code]]`\n"
        "```\n[[fenced]]\n```\n[[#here]]\n",
    )
    assert read.links == ["Bob", "Carl"]


def test_fields_in_the_text_are_facts_with_their_times(tmp_path: Path) -> None:
    read = note(
        tmp_path,
        '- works at:: [[Acme]] (from 2020-01-01 until 2021-06-01T12:00:00+02:00)\n* age:: 7\n- says:: "a (from 2020)"\n'
        "- ~~was:: [[Gone]]~~ believed until then\n  - nested:: x\n- plain:: text (from now)\n",
    )
    begin, end = datetime(2020, 1, 1, tzinfo=UTC), datetime.fromisoformat("2021-06-01T12:00:00+02:00")
    assert read.facts == [
        ("works at", Link("Acme"), begin, end),
        ("age", 7, None, None),
        ("says", "a (from 2020)", None, None),
        ("plain", "text (from now)", None, None),
    ]


def test_a_note_without_front_matter_is_of_its_name(tmp_path: Path) -> None:
    read = note(tmp_path, "\ufeff# Hello\r\n---\r\n[[X]]", "Über uns.md")
    assert (read.name, read.path, read.links) == ("Über uns", "Über uns.md", ["X"])
    assert read.text == "# Hello\n---\n[[X]]"


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [("---\na: b\n", 1, "no end"), ("---\na: b\n  c: d\n---\n", 3, "simple front matter"), ("---\nx\n---\n", 2, "'x'")],
)
def test_front_matter_that_is_none_is_an_error_with_its_line(tmp_path: Path, text: str, line: int, why: str) -> None:
    with pytest.raises(FormatError, match=why) as caught:
        note(tmp_path, text)
    assert caught.value.line == line
    assert "Ann.md" in str(caught.value)


def test_what_is_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.md").write_bytes(b"\xff\xfe")
    with pytest.raises(FormatError, match=r"x\.md is not text in UTF-8"):
        read_note(tmp_path, tmp_path / "x.md")


def test_hidden_folders_and_other_files_are_left_out(tmp_path: Path) -> None:
    for name in ("b/c.md", "a.md", ".obsidian/x.md", "b/.hidden.md", "d.txt", "b.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert [path.relative_to(tmp_path).as_posix() for path in find_notes(tmp_path)] == ["a.md", "b.md", "b/c.md"]


# -- pages that are written --------------------------------------------------------------------------------------------


def test_names_of_pages_are_those_that_every_system_takes_and_none_is_another_one() -> None:
    names = PageNames()
    given = ["Ann", "ANN", "a/b: c", "con", "...", "", "x" * 500, "x" * 501, "[[y]]#z|", "Ａｎｎ", "\x00\x1f"]
    chosen = [names.choose(name, None) for name in given]
    assert chosen[:6] == ["Ann", "ANN 2", "a b c", "con page", "page", "page 2"]
    assert len({name.casefold() for name in chosen}) == len(chosen)
    assert all(len(name.encode()) <= 130 and not set('<>:"/\\|?*#^[]\0') & {*name} for name in chosen)
    typed = PageNames()
    assert [typed.choose("Apple", "company"), typed.choose("Apple", "fruit"), typed.choose("Apple", "fruit")] == [
        "Apple",
        "Apple (fruit)",
        "Apple 2",
    ]


def write(folder: Path, pages: dict[str, str], *, overwrite: bool = False) -> tuple[int, int]:
    """How many were written, and removed."""
    kept = Folder(folder, overwrite=overwrite)
    kept.check(pages)
    kept.begin()
    for name, text in pages.items():
        kept.write(name, text)
    return kept.written, kept.finish()


def test_a_second_run_writes_what_changed_and_removes_what_is_no_more(tmp_path: Path) -> None:
    (tmp_path / "mine.md").write_text("mine")
    assert write(tmp_path, {"a.md": "a", "b.md": "b", "c.md": "c"}) == (3, 0)
    before = (tmp_path / "a.md").stat().st_mtime_ns
    (tmp_path / "c.md").write_text("changed by hand")
    assert write(tmp_path, {"a.md": "a", "b.md": "B"}) == (1, 0)
    assert (tmp_path / "a.md").stat().st_mtime_ns == before
    assert write(tmp_path, {"b.md": "B"}) == (0, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".aiomemdb.json", "b.md", "c.md", "mine.md"]


def test_a_page_that_was_changed_or_is_not_ours_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.md").write_text("mine")
    write(tmp_path, {"a.md": "a"})
    (tmp_path / "a.md").write_text("changed by hand")
    for name in ("a.md", "mine.md"):
        with pytest.raises(FileExistsError, match="overwrite"):
            write(tmp_path, {"new.md": "new", name: "other"})
    assert not (tmp_path / "new.md").exists()
    assert write(tmp_path, {"a.md": "a"}, overwrite=True) == (1, 0)


def test_a_run_that_was_cut_short_is_no_obstacle_for_the_next(tmp_path: Path) -> None:
    page = "---\naiomemdb: 1\n---\n"
    kept = Folder(tmp_path, overwrite=False)
    kept.begin()
    kept.write("a.md", page)
    assert write(tmp_path, {"a.md": page + "more"}) == (1, 0)


def test_a_list_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".aiomemdb.json").write_text("[]")
    with pytest.raises(FormatError, match="not a list of pages"):
        Folder(tmp_path, overwrite=False)
