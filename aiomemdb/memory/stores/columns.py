"""The columns that values need, in the SQL that all engines have."""

from __future__ import annotations

__all__ = ["ENTITY", "EPISODE", "EVENT", "EVIDENCE", "FACT", "KNOWN_ENTITY", "KNOWN_EPISODE", "KNOWN_FACT"]

# For ``records``; the tables are called e, f, p, v and n (memory_namespace).
ENTITY = (
    "e.id, n.name AS namespace, e.name, e.type, e.description, e.attributes, e.agent, e.created_at, "
    "e.established IS NULL"
)
FACT = (
    "f.id, n.name AS namespace, f.subject, coalesce(f.predicate_given, f.predicate) AS predicate, f.object, "
    "coalesce(f.value_given, f.value) AS value, f.text, f.valid_at, f.valid_offset, f.invalid_at, f.invalid_offset, "
    "f.created_at, f.expired_at, f.superseded_by, f.agent"
)
EPISODE = (
    "p.id, n.name AS namespace, p.key, p.version, p.session, p.seq, p.agent, p.source, p.content, p.metadata, "
    "p.occurred_at, p.occurred_offset, p.created_at, p.expired_at"
)
EVIDENCE = "v.id, v.fact, v.episode, v.quote, v.confidence, v.agent, v.created_at"
EVENT = "v.id, v.at, v.operation, v.kind, v.ref, v.other, v.agent, v.reason"

# For the rules: what they know of a row.
KNOWN_ENTITY = (
    "e.id, e.key, e.name, e.type, e.type_key, e.description, e.attributes, e.agent, e.created_at, e.created_event, "
    "e.established"
)
KNOWN_EPISODE = (
    "p.id, p.version, p.session, p.seq, p.agent, p.source, p.content, p.metadata, p.occurred_at, p.occurred_offset, "
    "p.created_at"
)
KNOWN_FACT = (
    "f.id, f.subject, f.predicate, f.predicate_given, f.object, f.value, f.value_given, f.text, f.valid_at, "
    "f.valid_offset, f.invalid_at, f.invalid_offset, f.created_at, f.expired_at, f.superseded_by, f.agent"
)
