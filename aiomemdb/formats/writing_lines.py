"""The library's own format, written: see ``lines.py``."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from .rows import EntityRow, EpisodeRow, EventRow, EvidenceRow, FactRow, Row

__all__ = ["FORMAT", "VERSION", "Header", "Kinds", "encode", "kind_of", "trailer"]

FORMAT, VERSION = "aiomemdb", 1

#: How many lines of each kind there are, by the words of the counts.
Kinds = dict[str, int]
_KINDS: Mapping[type, str] = {
    EntityRow: "entities",
    EpisodeRow: "episodes",
    FactRow: "facts",
    EvidenceRow: "evidence",
    EventRow: "events",
}
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class Header:
    """What a file is.

    Attributes:
        normalisers: by what each is for, the names of those that made its keys.
        model: the name and the dimension of the model of its vectors; None: it has none.
        counts: how many entities, episodes and facts it has.
    """

    normalisers: Mapping[str, str]
    namespaces: tuple[str, ...]
    model: tuple[str, int] | None = None
    counts: Kinds = field(default_factory=dict)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND, _MINUTE = timedelta(microseconds=1), timedelta(minutes=1)


def _time(micros: int | None, offset: int | None = None) -> str | None:
    if micros is None:
        return None
    when = _EPOCH + micros * _MICROSECOND
    return (when if offset is None else when.astimezone(timezone(offset * _MINUTE))).isoformat()


def _put(row: dict[str, Any], **values: Any) -> None:
    """Those that say something."""
    row.update((name, value) for name, value in values.items() if value is not None and value != [])


def encode_header(header: Header) -> str:
    row: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "normalisers": dict(sorted(header.normalisers.items())),
    }
    row["namespaces"] = list(header.namespaces)
    if header.model is not None:
        row["model"] = {"name": header.model[0], "dim": header.model[1]}
    return _ENCODER.encode({**row, "counts": header.counts}) + "\n"


def trailer(counts: Kinds) -> str:
    return _ENCODER.encode({"end": FORMAT, "counts": dict(counts)}) + "\n"


def encode(row: Row | Header) -> str:
    """A row as its line."""
    if isinstance(row, Header):
        return encode_header(row)
    return _ENCODER.encode(_ENCODERS[type(row)](row)) + "\n"


def kind_of(row: Row) -> str:
    return _KINDS[type(row)]


def _encode_entity(row: EntityRow) -> dict[str, Any]:
    line: dict[str, Any] = {"entity": row.number, "namespace": row.namespace, "name": row.name}
    _put(
        line,
        key=None if row.key == row.name else row.key,
        type=row.type,
        type_key=None if row.type_key == (row.type or "") else row.type_key,
        description=row.description or None,
        attributes=None if row.attributes == "{}" else json.loads(row.attributes),
        implied=True if row.established is None else None,
        established=None if row.established == row.created_at else _time(row.established),
        merged_into=row.merged_into,
        aliases=[[key, type] if type else [key] for key, type in row.aliases],
        near=row.near,
    )
    return _known(line, row)


def _encode_episode(row: EpisodeRow) -> dict[str, Any]:
    line: dict[str, Any] = {"episode": row.number, "namespace": row.namespace, "content": row.content}
    _put(
        line,
        key=row.key,
        version=None if row.version == 1 else row.version,
        session=row.session,
        seq=row.seq,
        source=row.source,
        metadata=None if row.metadata == "{}" else json.loads(row.metadata),
        occurred_at=_time(row.occurred_at, row.occurred_offset),
        mentions=row.mentions,
    )
    return _known(line, row)


def _encode_fact(row: FactRow) -> dict[str, Any]:
    line: dict[str, Any] = {"fact": row.number, "namespace": row.namespace, "subject": row.subject}
    line["predicate"] = row.predicate if row.predicate_given is None else row.predicate_given
    if row.object is None:
        line["value"] = json.loads((row.value if row.value_given is None else row.value_given) or "null")
    _put(
        line,
        predicate_key=None if row.predicate_given is None else row.predicate,
        value_key=None if row.value_given is None else json.loads(row.value or "null"),
        object=row.object,
        text=row.text,
        valid_at=_time(row.valid_at, row.valid_offset),
        invalid_at=_time(row.invalid_at, row.invalid_offset),
        superseded_by=row.superseded_by,
        supersedes=row.supersedes,
        evidence=[_encode_evidence(one) for one in row.evidence],
    )
    return _known(line, row)


def _encode_evidence(row: EvidenceRow) -> dict[str, Any]:
    line: dict[str, Any] = {"evidence_of": row.fact} if row.fact else {}
    confidence = None if row.confidence == 1.0 else row.confidence
    _put(line, episode=row.episode, quote=row.quote, confidence=confidence, agent=row.agent)
    return {**line, "created_at": _time(row.created_at)}


def _encode_event(row: EventRow) -> dict[str, Any]:
    line = {"event": row.operation, "namespace": row.namespace, "kind": row.kind, "ref": row.ref}
    _put(line, other=row.other, agent=row.agent, reason=row.reason)
    return {**line, "at": _time(row.at)}


def _known(line: dict[str, Any], row: EntityRow | EpisodeRow | FactRow) -> dict[str, Any]:
    """Who made it, and since when and until when it is believed."""
    expired_at, known_until = getattr(row, "expired_at", None), getattr(row, "known_until", None)
    _put(
        line,
        agent=row.agent,
        created_at=_time(row.created_at),
        known_from=None if row.known_from == row.created_at else _time(row.known_from),
        expired_at=_time(expired_at),
        known_until=None if known_until == expired_at else _time(known_until),
        created=None if row.created else False,
        vector=None if row.vector is None else base64.b64encode(row.vector).decode(),
    )
    return line


_ENCODERS: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    EntityRow: _encode_entity,
    EpisodeRow: _encode_episode,
    FactRow: _encode_fact,
    EvidenceRow: _encode_evidence,
    EventRow: _encode_event,
}
