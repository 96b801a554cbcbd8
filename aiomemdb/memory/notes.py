"""Entities as Markdown pages, and notes as documents."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime

from ..formats.markdown import Link, Note
from ..formats.pages import MARK, PageNames
from .bulk import Document
from .names import MAX_NAME, is_blank
from .prompt import one_line
from .questions import FactQuery
from .reads import Reads
from .times import now_micros
from .values import Entity, Episode, Evidence, Fact, Name, Statement

__all__ = ["documents_of", "named", "pages"]

_SLICE = 200


async def named(reads: Reads, namespaces: Sequence[str]) -> dict[int, str]:
    """The page of each entity, by its id."""
    names, found, after = PageNames(), dict[int, str](), 0
    while entities := await reads.entities(namespaces, ids=None, type_key=None, after=after, limit=_SLICE):
        after = entities[-1].id
        found |= {entity.id: names.choose(entity.name, entity.type) for entity in entities}
    return found


async def pages(
    reads: Reads, namespaces: Sequence[str], names: dict[int, str]
) -> AsyncGenerator[tuple[str, str], None]:
    """(the page's name, its text) of each entity."""
    ids = list(names)
    for first in range(0, len(ids), _SLICE):
        some = ids[first : first + _SLICE]
        entities = await reads.entities(namespaces, ids=some, type_key=None, after=0, limit=-1)
        query = FactQuery(now_micros(), subjects=some, any_time=True, any_knowledge=True)
        facts: dict[int, list[Fact]] = {id: [] for id in some}
        for fact in await reads.facts(namespaces, query):
            facts[fact.subject].append(fact)
        called = await _called(reads, namespaces, [fact for ones in facts.values() for fact in ones], names)
        for entity in entities:
            said = [(fact, await _why(reads, namespaces, fact)) for fact in facts[entity.id]]
            yield names[entity.id], _page(entity, said, names, called)


async def _why(reads: Reads, namespaces: Sequence[str], fact: Fact) -> list[tuple[Evidence, Episode | None]]:
    """What evidences a fact, each with its text."""
    found: list[tuple[Evidence, Episode | None]] = []
    for evidence in await reads.evidence(namespaces, fact.id):
        texts: Sequence[Episode] = ()
        if evidence.episode is not None:
            texts = await reads.episodes(namespaces, ref=evidence.episode, limit=1)
        found.append((evidence, texts[0] if texts else None))
    return found


async def _called(
    reads: Reads, namespaces: Sequence[str], facts: Sequence[Fact], names: dict[int, str]
) -> dict[int, str]:
    """The names of entities at the other ends, by their ids."""
    ends = {fact.object for fact in facts if fact.object in names}
    found = await reads.entities(
        namespaces, ids=[end for end in ends if end is not None], type_key=None, after=0, limit=-1
    )
    return {entity.id: entity.name for entity in found}


def _page(
    entity: Entity,
    facts: Sequence[tuple[Fact, Sequence[tuple[Evidence, Episode | None]]]],
    names: dict[int, str],
    called: dict[int, str],
) -> str:
    """What is believed comes first, then what was."""
    head = [f"name: {_quoted(entity.name)}"]
    head += [f"type: {_quoted(entity.type)}"] if entity.type else []
    head += [f"description: {_quoted(entity.description)}"] if entity.description else []
    head += [f"attributes: {_quoted(json.dumps(entity.attributes, ensure_ascii=False))}"] if entity.attributes else []
    head += [f"namespace: {_quoted(entity.namespace)}", f"created: {_when(entity.created_at)}"]
    head += [f"agent: {_quoted(entity.agent)}"] if entity.agent else []
    lines = [MARK + "\n".join(head), "---", "", f"# {one_line(entity.name)}", ""]
    if entity.description:
        lines += [entity.description, ""]
    for title, believed in (("Facts", True), ("Past", False)):
        some = [(fact, why) for fact, why in facts if (fact.expired_at is None) == believed]
        if some:
            lines += [f"## {title}", ""]
            for fact, why in some:
                lines += _fact(fact, why, names, called)
            lines.append("")
    return "\n".join(lines)


def _fact(
    fact: Fact, why: Sequence[tuple[Evidence, Episode | None]], names: dict[int, str], called: dict[int, str]
) -> list[str]:
    if fact.object is None:
        end = _quoted(fact.value)
    else:
        page, name = names.get(fact.object, "?"), called.get(fact.object, "?")
        shown = one_line(name).translate(_NO_LINK)
        end = f"[[{page}]]" if shown == page else f"[[{page}|{shown}]]"
    holds = [f"from {_when(fact.valid_at)}"] if fact.valid_at else []
    holds += [f"until {_when(fact.invalid_at)}"] if fact.invalid_at else []
    period = f" ({' '.join(holds)})" if holds else ""
    line = f"{one_line(fact.predicate)}:: {end}{period}"
    if fact.expired_at is None:
        lines = [f"- {line}"]
    else:
        lines = [f"- ~~{line}~~ believed from {_when(fact.created_at)} until {_when(fact.expired_at)}"]
    return lines + [f"  - {_evidence(evidence, text)}" for evidence, text in why]


def _evidence(evidence: Evidence, text: Episode | None) -> str:
    parts = [f'"{one_line(evidence.quote)}"'] if evidence.quote else []
    if text is not None:
        parts.append(one_line(text.key or text.source or text.content)[:80])
        parts += [_when(text.occurred_at)] if text.occurred_at else []
    parts += [one_line(evidence.agent)] if evidence.agent else []
    parts.append(f"noted {_when(evidence.created_at)}")
    return ", ".join(parts).replace("[[", "[ [")


_NO_LINK = str.maketrans("[]|", "()/")


def _quoted(value: object) -> str:
    """As JSON, on one line, in which nothing is a link."""
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").replace("[[", "[\\u005b")


def _when(when: datetime) -> str:
    """A day where that says all of it."""
    if (
        when.tzinfo is not None
        and not when.utcoffset()
        and when == when.replace(hour=0, minute=0, second=0, microsecond=0)
    ):
        return f"{when.astimezone(UTC):%Y-%m-%d}" if when.year >= 1000 else when.isoformat()
    return when.isoformat()


# -- notes -------------------------------------------------------------------------------------------------------------


def documents_of(note: Note, pages: Mapping[str, Name]) -> Document:
    """A note as a text that mentions what it links to, with what its fields state.

    Args:
        pages: what those that are there are of, by the names of their files.
    """
    subject = Name(note.name, note.type, note.description)
    facts: list[Statement] = []
    for predicate, said, begin, end in note.facts:
        if is_blank(predicate) or (isinstance(said, Link) and not _is_name(said.name)):
            continue
        if begin is not None and end is not None and end <= begin:
            end = None
        facts.append(
            Statement(
                subject=subject,
                predicate=predicate,
                object=pages.get(said.name, said.name) if isinstance(said, Link) else None,
                value=None if isinstance(said, Link) else said,
                valid_at=begin,
                invalid_at=end,
            )
        )
    return Document(
        content=note.text,
        facts=facts,
        mentions=[subject, *(pages.get(name, name) for name in note.links if _is_name(name))],
        key=note.path,
        source=note.path,
        occurred_at=note.when,
        metadata=note.tags or None,
        replace=True,
    )


def _is_name(name: str) -> bool:
    return not is_blank(name) and len(name) <= MAX_NAME
