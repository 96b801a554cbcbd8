"""Notes in Markdown, read: pages with front matter, fields and ``[[links]]``, as note programs write them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from ..errors import FormatError

__all__ = ["Link", "Note", "Stated", "find_notes", "read_note"]

_LINK = re.compile(r"(?<!!)\[\[([^\[\]\n]+)\]\]")
_WHOLE_LINK = re.compile(r"\[\[([^\[\]\n]+)\]\]")
_FIELD = re.compile(r"[-*+] (?!~~)(\S(?:.*?\S)?):: (.+)")
_PERIOD = re.compile(r" \((?:from (\S+?))?(?: ?until (\S+?))?\)$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_CODE = re.compile(r"(`+)(?:(?!\1).)+\1")
# What a page says about itself, and not about what it is of.
_OWN = ("title", "name", "type", "aliases", "alias", "date", "created", "description")
# What a page that was exported says of its entity beside.
_OWN_OF_EXPORT = ("aiomemdb", "attributes", "namespace", "agent")
_LISTS = ("tags", "tag", "cssclasses", "cssclass")


@dataclass(frozen=True, slots=True)
class Link:
    """A link to a page, by the page's name."""

    name: str


#: What a field of a page says: another page, or a literal.
Stated: TypeAlias = Link | str | int | float | bool


@dataclass(slots=True)
class Note:
    """A page.

    Attributes:
        path: in its folder, with slashes.
        facts: (predicate, what, from when, until when).
        links: names of the pages that it links to.
        tags: its lists of words, by their names.
    """

    path: str
    text: str
    name: str
    type: str | None = None
    description: str = ""
    aliases: list[str] = field(default_factory=list)
    when: datetime | None = None
    facts: list[tuple[str, Stated, datetime | None, datetime | None]] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    tags: dict[str, list[str]] = field(default_factory=dict)


def find_notes(folder: str | os.PathLike[str]) -> list[Path]:
    """The pages of a folder and its folders, by path; without what is hidden."""
    found: list[Path] = []
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(here, name) for name in names if name.endswith(".md") and not name.startswith(".")]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def read_note(folder: str | os.PathLike[str], path: Path) -> Note:
    """Raises: FormatError: no text in UTF-8; front matter without an end, or with what is not ``name: value``."""
    inside = path.relative_to(folder).as_posix()
    try:
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise FormatError(f"{inside} is not text in UTF-8: {error}") from None
    note = Note(inside, text, PurePosixPath(inside).stem)
    lines = text.split("\n")
    body = 0
    if lines[0].strip() == "---":
        end = next((place for place, line in enumerate(lines[1:], start=1) if line.strip() in ("---", "...")), None)
        if end is None:
            raise FormatError(f"{inside}: its front matter has no end: a line with --- is missing", line=1)
        fields = list(_fields(lines[1:end], inside))
        left_out = _OWN_OF_EXPORT if any(name == "aiomemdb" for name, _ in fields) else ()
        for name, values in fields:
            if name not in left_out:
                _take(note, name, values)
        body = end + 1
    _read_body(note, lines[body:])
    return note


# -- front matter ------------------------------------------------------------------------------------------------------


def _fields(lines: list[str], path: str) -> Iterator[tuple[str, list[str] | str]]:
    """Names and values of simple YAML: ``name: value``, ``name: [a, b]``, or a list below it."""
    name, values, begun = "", list[str](), 0
    for number, line in enumerate(lines, start=2):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if begun and line.lstrip().startswith("- "):
            values.append(line.lstrip()[2:].strip())
            continue
        if begun:
            yield name, values
            values, begun = [], 0
        name, colon, value = line.partition(":")
        name, value = name.strip(), value.strip()
        if not colon or not name or line[0].isspace():
            raise FormatError(
                f"{path}: {line.strip()[:40]!r} is not a line of simple front matter, as 'name: value'", line=number
            )
        if not value:
            begun = number
        elif value.startswith("[") and value.endswith("]") and not value.startswith("[["):
            yield name, _split(value[1:-1])
        else:
            yield name, value
    if begun:
        yield name, values


def _split(inner: str) -> list[str]:
    """The items of a list on one line: commas in quotes part nothing."""
    return [
        each.strip()
        for each in re.findall(r'\s*("(?:[^"\\]|\\.)*"|\'[^\']*\'|\[\[[^\]]*\]\]|[^,]+)', inner)
        if each.strip()
    ]


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        try:
            return str(json.loads(value))
        except ValueError:
            return value[1:-1]
    if len(value) > 1 and value[0] == value[-1] == "'":
        return value[1:-1].replace("''", "'")
    return value


def _take(note: Note, name: str, values: list[str] | str) -> None:
    """What a field of the front matter says."""
    listed = values if isinstance(values, list) else [values]
    texts = [_unquoted(value) for value in listed]
    if name in ("title", "name") and texts and texts[0].strip():
        note.name = texts[0]
    elif name == "type" and texts and texts[0].strip():
        note.type = texts[0]
    elif name == "description" and texts:
        note.description = texts[0]
    elif name in ("aliases", "alias"):
        note.aliases += [text for text in texts if text.strip()]
    elif name in ("date", "created") and texts:
        note.when = note.when or _when(texts[0])
    elif name in _LISTS:
        note.tags[name] = texts
    elif name not in _OWN:
        note.facts += [(name, _stated(value), None, None) for value in listed if value.strip()]


def _when(text: str) -> datetime | None:
    """A day begins at midnight in UTC, and so does a time without a zone."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def _stated(value: str) -> Stated:
    """A link, a number, true or false, or a text; what is quoted is a text, if it is no link."""
    text = _unquoted(value.strip())
    if link := _WHOLE_LINK.fullmatch(text.strip()):
        return Link(_target(link[1]))
    if text != value.strip():
        return text
    try:
        found = json.loads(text, parse_constant=str)
    except ValueError:
        return text
    return found if isinstance(found, bool | int | float) else text


def _target(link: str) -> str:
    """The name of the page that a link leads to: without its folder, its heading and what is shown for it."""
    name = re.split(r"[|#^]", link)[0].strip().removesuffix(".md")
    return name.rsplit("/", 1)[-1].strip()


# -- the text ----------------------------------------------------------------------------------------------------------


def _read_body(note: Note, lines: list[str]) -> None:
    fence = ""
    for line in lines:
        marks = _FENCE.match(line)
        if fence:
            fence = "" if marks is not None and marks[1].startswith(fence) else fence
            continue
        if marks is not None:
            fence = marks[1]
            continue
        found = _FIELD.fullmatch(line)
        if found is not None:
            note.facts.append(_fact(found[1], found[2]))
        note.links += [name for link in _LINK.findall(_CODE.sub("", line)) if (name := _target(link))]
    note.links = list(dict.fromkeys(note.links))


def _fact(predicate: str, value: str) -> tuple[str, Stated, datetime | None, datetime | None]:
    period = _PERIOD.search(value)
    begin = end = None
    if period is not None:
        begin, end = (None if text is None else _when(text) for text in period.groups())
        if (begin is None) == (period[1] is None) and (end is None) == (period[2] is None) and (begin or end):
            value = value[: period.start()]
        else:
            begin = end = None  # it only looks like one
    return predicate, _stated(value), begin, end
