"""The library's own format: JSON Lines, an object a line.

1. The first line is the header: ``{"format": "aiomemdb", "version": 1, ...}``; the last one is the trailer, with how
   many lines of each kind there are: a file without it was cut short.
2. Between them: entities, those that others were merged into first; documents, each a text with the facts drawn from
   it; lines of the audit.
3. A line refers to lines before it alone, by their numbers. So a reader keeps nothing but numbers.
4. What has its usual value is left out. The same memory is the same bytes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..errors import FormatError
from .reading_lines import Fields
from .rows import EntityRow, EpisodeRow, EventRow, EvidenceRow, FactRow, Row
from .writing_lines import FORMAT, VERSION, Header, Kinds, encode, kind_of, trailer

__all__ = ["FORMAT", "VERSION", "Header", "Kinds", "encode", "is_header", "kind_of", "read", "read_header", "trailer"]


def is_header(line: str | bytes) -> bool:
    """Whether a file that begins with this line is of this format."""
    try:
        row = json.loads(line)
    except ValueError:
        return False
    return isinstance(row, dict) and row.get("format") == FORMAT


def _object(line: str | bytes, number: int) -> dict[str, Any]:
    """Raises: FormatError."""
    try:
        row = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"this is not JSON: {error}", line=number) from None
    if not isinstance(row, dict):
        raise FormatError("this is not a JSON object", line=number)
    return row


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


def read_header(line: str | bytes) -> Header:
    """Raises: FormatError: no header; a version that this one does not know."""
    if not line:
        raise FormatError("the file is empty: it should begin with a header")
    row = _object(line, 1)
    if row.get("format") != FORMAT:
        raise FormatError('this is not a header: it should say {"format":"aiomemdb",...}', line=1)
    if (version := row.get("version")) != VERSION:
        raise FormatError(
            f"the file is of version {json.dumps(version)[:40]}, this one reads version {VERSION}: update aiomemdb",
            line=1,
        )
    fields = Fields(row, 1)
    normalisers = fields.mapping("normalisers")
    namespaces = fields.names("namespaces")
    model = None
    if row.get("model") is not None:
        of_model = Fields(fields.mapping("model"), 1)
        model = (of_model.text("name"), of_model.count("dim"))
    if not all(isinstance(name, str) for name in normalisers.values()):
        raise FormatError('"normalisers" must be names', line=1)
    return Header(normalisers, tuple(namespaces), model, fields.counts("counts"))


def read(lines: Iterable[str | bytes]) -> Iterator[Row]:
    """Read what follows the header, up to the trailer.

    Raises: FormatError: a line is none of the format, or out of its order; it refers to one that is not before it; the
        file was cut short, or goes on behind its end.
    """
    counts, seen, order = Counter[str](), Counter[str](), 0
    numbered, number = enumerate(lines, start=2), 1
    for number, line in numbered:
        row = _object(line, number)
        if "end" in row:
            said = Fields(row, number).counts("counts")
            if said != dict(counts):
                raise FormatError(
                    f"the file has {dict(counts)}, and its end says {said}: lines are missing or too many", line=number
                )
            break
        kind = next((kind for kind in _READERS if kind in row), None)
        if kind is None:
            raise FormatError("this is not an entity, episode, fact, evidence_of or event", line=number)
        place, reader = _READERS[kind]
        if place < order:
            raise FormatError(f"{kind}: all of its kind come earlier in a file", line=number)
        order = place
        read_row = reader(Fields(row, number), seen)
        counts[kind_of(read_row)] += 1
        yield read_row
    else:
        raise FormatError("the file was cut short: its last line is missing", line=number)
    for number, _ in numbered:
        raise FormatError("the file has lines after its end", line=number)


def _next(fields: Fields, kind: str, seen: Counter[str]) -> int:
    number = fields.count(kind)
    if number != seen[kind] + 1:
        raise fields.error(f'"{kind}" is {number}, and the one before it was {seen[kind]}: they count from 1')
    seen[kind] = number
    return number


def _read_entity(fields: Fields, seen: Counter[str]) -> EntityRow:
    number, name, type = _next(fields, "entity", seen), fields.name("name"), fields.optional_name("type")
    created_at = fields.time("created_at")
    merged_into = fields.optional_ref("merged_into", number - 1)
    aliases = fields.aliases("aliases")
    if (merged_into is None) != bool(aliases):
        raise fields.error("an entity has aliases, or it is merged_into another one")
    return EntityRow(
        number=number,
        namespace=fields.name("namespace"),
        name=name,
        key=fields.optional_name("key") or name,
        type=type,
        type_key=fields.optional_name("type_key") or type or "",
        description=fields.optional_text("description") or "",
        attributes=fields.json("attributes"),
        agent=fields.optional_name("agent"),
        created_at=created_at,
        known_from=fields.known("known_from", created_at),
        established=None if fields.flag("implied", usual=False) else fields.known("established", created_at),
        merged_into=merged_into,
        aliases=aliases,
        near=fields.near("near", number - 1),
        created=fields.flag("created"),
        vector=fields.vector(),
        line=fields.number,
    )


def _read_episode(fields: Fields, seen: Counter[str]) -> EpisodeRow:
    number, created_at = _next(fields, "episode", seen), fields.time("created_at")
    expired_at = fields.optional_time("expired_at")
    occurred_at, occurred_offset = fields.moment("occurred_at")
    return EpisodeRow(
        number=number,
        namespace=fields.name("namespace"),
        content=fields.text("content"),
        key=fields.optional_name("key"),
        version=fields.count("version") if "version" in fields.row else 1,
        session=fields.optional_name("session"),
        seq=fields.optional_int("seq"),
        agent=fields.optional_name("agent"),
        source=fields.optional_text("source"),
        metadata=fields.json("metadata"),
        occurred_at=occurred_at,
        occurred_offset=occurred_offset,
        created_at=created_at,
        known_from=fields.known("known_from", created_at),
        expired_at=expired_at,
        known_until=None if expired_at is None else fields.known("known_until", expired_at),
        mentions=fields.refs("mentions", seen["entity"]),
        created=fields.flag("created"),
        vector=fields.vector(),
        line=fields.number,
    )


def _read_fact(fields: Fields, seen: Counter[str]) -> FactRow:
    number, created_at = _next(fields, "fact", seen), fields.time("created_at")
    expired_at = fields.optional_time("expired_at")
    predicate, predicate_key = fields.name("predicate"), fields.optional_name("predicate_key")
    object = fields.optional_ref("object", seen["entity"])
    value = fields.scalar("value") if "value" in fields.row else None
    value_key = fields.scalar("value_key") if "value_key" in fields.row else None
    if (object is None) == (value is None):
        raise fields.error("a fact has an object or a value: exactly one of the two")
    (valid_at, valid_offset), (invalid_at, invalid_offset) = fields.moment("valid_at"), fields.moment("invalid_at")
    if valid_at is not None and invalid_at is not None and invalid_at <= valid_at:
        raise fields.error('"invalid_at" must be later than "valid_at"')
    evidence = [_evidence(each, seen) for each in fields.objects("evidence")]
    return FactRow(
        number=number,
        namespace=fields.name("namespace"),
        subject=fields.ref("subject", seen["entity"]),
        predicate=predicate if predicate_key is None else predicate_key,
        predicate_given=None if predicate_key is None else predicate,
        object=object,
        value=value if value_key is None else value_key,
        value_given=None if value_key is None else value,
        text=fields.text("text"),
        valid_at=valid_at,
        valid_offset=valid_offset,
        invalid_at=invalid_at,
        invalid_offset=invalid_offset,
        agent=fields.optional_name("agent"),
        created_at=created_at,
        known_from=fields.known("known_from", created_at),
        expired_at=expired_at,
        known_until=None if expired_at is None else fields.known("known_until", expired_at),
        superseded_by=fields.optional_ref("superseded_by", number - 1),
        supersedes=fields.refs("supersedes", number - 1),
        evidence=evidence,
        created=fields.flag("created"),
        vector=fields.vector(),
        line=fields.number,
    )


def _read_evidence(fields: Fields, seen: Counter[str]) -> EvidenceRow:
    row = _evidence(fields, seen)
    row.fact = fields.ref("evidence_of", seen["fact"])
    return row


def _evidence(fields: Fields, seen: Counter[str]) -> EvidenceRow:
    return EvidenceRow(
        episode=fields.optional_ref("episode", seen["episode"]),
        quote=fields.optional_text("quote"),
        confidence=fields.confidence("confidence"),
        agent=fields.optional_name("agent"),
        created_at=fields.time("created_at"),
        line=fields.number,
    )


def _read_event(fields: Fields, seen: Counter[str]) -> EventRow:
    kind = fields.text("kind")
    if kind not in ("entity", "episode", "fact"):
        raise fields.error('"kind" must be "entity", "episode" or "fact"')
    return EventRow(
        namespace=fields.name("namespace"),
        at=fields.time("at"),
        operation=fields.name("event"),
        kind=kind,
        ref=fields.ref("ref", seen[kind]),
        other=fields.optional_ref("other", seen[kind]),
        agent=fields.optional_name("agent"),
        reason=fields.optional_text("reason"),
        line=fields.number,
    )


# By the field that says what a line is, and where in a file its kind stands.
_READERS: Mapping[str, tuple[int, Callable[[Fields, Counter[str]], Row]]] = {
    "event": (2, _read_event),
    "evidence_of": (1, _read_evidence),
    "entity": (0, _read_entity),
    "episode": (1, _read_episode),
    "fact": (1, _read_fact),
}
