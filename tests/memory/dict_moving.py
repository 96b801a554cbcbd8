"""What exports and imports ask of the store in dicts. What a method takes and returns stands in ``Exports``, or in the
request of its name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiomemdb.formats.rows import EntityRow, EpisodeRow, EventRow, EvidenceRow, FactRow
from aiomemdb.memory.deciding import parcels as asked
from aiomemdb.memory.exporting import Contents
from tests.memory.dict_store import DictStore
from tests.memory.dict_tables import KINDS, PAST, Row

__all__ = ["MovingDictStore"]

ENTITY = "name key type type_key description attributes agent created_at"
EPISODE = "content key version session seq agent source metadata occurred_at occurred_offset created_at expired_at"
FACT = (
    "subject predicate predicate_given object value value_given text valid_at valid_offset invalid_at invalid_offset "
    "agent created_at expired_at superseded_by"
)


def taken(row: Any, names: str) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names.split()}


class MovingDictStore(DictStore):
    # -- exports

    def known_since(self, line: int | None) -> int | None:
        """Since when what a line made known is known."""
        if line is None or line < 0:
            return None if line is None else line - PAST
        return int(min(at for id, (_, at, *_) in self.t["event"].items() if id >= line))

    async def export_contents(self, namespaces):
        meta = self.t["meta"]
        there = sorted({row.namespace for kind in KINDS for _, row in self.rows(kind)})
        chosen = there if namespaces is None else [name for name in dict.fromkeys(namespaces) if name in there]
        names = {"entity": "entities", "episode": "episodes", "fact": "facts"}
        counts = {names[kind]: len(self.rows(kind, chosen)) for kind in KINDS}
        return Contents(chosen, meta["normalisers"], meta.get("model"), counts)

    async def export_rows(self, part, namespaces, *, after, limit, model=None):
        if part == "event":
            lines = [
                EventRow(
                    namespace=of,
                    at=at,
                    agent=agent,
                    operation=what,
                    kind=kind,
                    ref=ref,
                    other=other,
                    reason=why,
                    line=id,
                )
                for id, (of, at, agent, what, kind, ref, other, why) in self.lines()
                if of in namespaces and kind != "namespace" and what != "import" and id > after
            ]
            return lines[:limit]
        kind = "entity" if part == "merged" else part
        rows = [(id, row) for id, row in self.rows(kind, namespaces) if id > after]
        if kind == "entity":
            rows = [(id, row) for id, row in rows if bool(row.merged_into) == (part == "merged")]
        return [self.moving(kind, id, row, model) for id, row in rows[:limit]]

    def moving(self, kind: str, id: int, row: Row, model: Any) -> Any:
        shared: dict[str, Any] = {"number": id, "namespace": row.namespace, "known_from": self.known_since(row.since)}
        shared["vector"] = None if model is None else self.t["vector"].get((model, kind, id))
        first = next((line for _, line in self.lines() if line[4:6] == (kind, id) and line[3] != "import"), None)
        shared["created"] = first is not None and first[1:] == (
            row.created_at,
            row.agent,
            "create",
            kind,
            id,
            None,
            None,
        )
        if kind == "entity":
            aliases = sorted((key, type) for (_, key, type), of in self.t["alias"].items() if of == id)
            near = sorted((one, cosine) for (one, other), cosine in self.t["similar"].items() if other == id)
            return EntityRow(
                **shared,
                **taken(row.row, ENTITY),
                merged_into=row.merged_into,
                aliases=aliases,
                near=near,
                established=self.established(row.row.established),
            )
        if kind == "episode":
            mentions = sorted(entity for entity, text in self.t["mention"] if text == id)
            return EpisodeRow(
                **shared, **taken(row.row, EPISODE), known_until=self.known_since(row.until), mentions=mentions
            )
        said = sorted((n, text, agent, one) for (of, text, agent), (n, one) in self.t["evidence"].items() if of == id)
        evidence = [self.evidence_row(0, text, agent, one) for _, text, agent, one in said]
        return FactRow(**shared, **taken(row.row, FACT), known_until=self.known_since(row.until), evidence=evidence)

    def established(self, line: Any) -> int | None:
        """Those of one time are told apart, where one of them has established what was there."""
        since = self.known_since(line)
        if since is None or line < 0:
            return since
        lines, first = self.t["event"], line
        while first - 1 in lines and lines[first - 1][1] >= since:
            first -= 1
        apart = any(self.apart(*lines[id][3:6]) for id in range(first, line + 1))
        return since + (line - first if apart else 0)

    def apart(self, operation: str, kind: str, ref: int) -> bool:
        """Whether ids may not be in the order of lines."""
        row = self.t["entity"].get(ref) if kind == "entity" else None
        return operation == "establish" or (row is not None and bool(row.merged_into))

    @staticmethod
    def evidence_row(fact: int, text: int | None, agent: str | None, said: Any) -> EvidenceRow:
        shared = {"fact": fact, "episode": text, "agent": agent}
        return EvidenceRow(**shared, quote=said.quote, confidence=said.confidence, created_at=said.at)

    async def export_evidence(self, namespaces, texts):
        said = sorted(
            (n, fact, text, agent, one) for (fact, text, agent), (n, one) in self.t["evidence"].items() if text in texts
        )
        return [self.evidence_row(*others) for _, *others in said]

    # -- what the rule of an import asks

    def TextsLike(self, request: asked.TextsLike) -> list[asked.TextLike]:
        def found() -> Iterator[asked.TextLike]:
            for id, row in self.rows("episode"):
                for place, (space, key, session, seq, at, content) in enumerate(request.texts):
                    same = row.content == content
                    alone = (row.session, row.seq, row.created_at, same) == (session, seq, at, True)
                    if row.namespace == space and row.key == key and (key is not None or alone):
                        yield asked.TextLike(place, id, row.version, same, row.created_at, row.until is None)

        return list(found())

    def FactsLike(self, request: asked.FactsLike) -> list[asked.FactLike]:
        return [
            asked.FactLike(
                place,
                id,
                row.predicate,
                row.row.value,
                row.valid_at,
                row.invalid_at,
                row.until is None,
                row.superseded_by,
            )
            for id, row in self.rows("fact")
            for place, fact in enumerate(request.facts)
            if fact == (row.subject, row.object, row.created_at)
        ]

    def EvidenceThere(self, request: asked.EvidenceThere) -> set[int]:
        return {place for place, one in enumerate(request.evidence) if one in self.t["evidence"]}

    def MergedLike(self, request: asked.MergedLike) -> list[tuple[int, int]]:
        return [
            (place, id)
            for id, row in self.rows("entity")
            for place, one in enumerate(request.entities)
            if one == (row.merged_into, row.name, row.created_at)
        ]

    def LinesThere(self, request: asked.LinesThere) -> set[int]:
        there = {(kind, ref, at, what) for _, (_, at, _, what, kind, ref, _, _) in self.lines()}
        return {place for place, line in enumerate(request.lines) if line in there}
