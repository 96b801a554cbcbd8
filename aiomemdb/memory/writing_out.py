"""A memory as rows of a file: in which order they are written, so that each speaks of earlier ones alone.

Entities come first. Then texts and facts, each in the order of their ids; a fact comes behind the text that said it
first, and evidence of a later text behind that. The audit comes last, without its usual lines. In memory are numbers,
and the rows of one slice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from ..formats.rows import EntityRow, EpisodeRow, EventRow, EvidenceRow, FactRow, Row
from .exporting import Contents, Exports, Part
from .numbers import Numbers
from .questions import BEFORE_ALL, Model

__all__ = ["WritingOut"]

# Rows that are read at once.
_SLICE = 500
_SLICE_OF_TEXTS = 100  # each may be long


class WritingOut:
    """One export.

    Args:
        reads: one snapshot.
        model: its vectors go along; None: none.
    """

    def __init__(self, reads: Exports, contents: Contents, model: Model | None) -> None:
        self._reads = reads
        self._spaces = contents.namespaces
        self._model = model
        self._roots, self._merged = Numbers(), Numbers()
        self._texts, self._facts = Numbers(), Numbers()
        self._plain: dict[str, bytearray] = {"entity": bytearray(), "episode": bytearray(), "fact": bytearray()}
        self._later: dict[int, list[int]] = {}  # facts by the later one that took their place
        self._last_text = 0
        self.counts: Counter[str] = Counter()

    async def slices(self) -> AsyncGenerator[list[Row], None]:
        """All rows, some at a time."""
        async for entities in self._read("entity"):
            yield [self._entity(row) for row in entities if isinstance(row, EntityRow)]
        async for entities in self._read("merged"):
            yield [self._entity(row) for row in entities if isinstance(row, EntityRow)]
        async for documents in self._documents():
            yield documents
        async for lines in self._read("event"):
            yield [line for row in lines if isinstance(row, EventRow) and (line := self._event(row)) is not None]

    async def _read(self, part: Part) -> AsyncGenerator[Sequence[Row], None]:
        after, limit = (BEFORE_ALL if part == "event" else 0), _SLICE_OF_TEXTS if part == "episode" else _SLICE
        while rows := await self._reads.export_rows(part, self._spaces, after=after, limit=limit, model=self._model):
            last = rows[-1]
            after = last.line if isinstance(last, EventRow) else getattr(last, "number", 0)
            yield rows

    # -- entities

    def _find_entity(self, id: int) -> int | None:
        number = self._roots.find(id)
        if number is None and (merged := self._merged.find(id)) is not None:
            number = len(self._roots) + merged
        return number

    def _entity(self, row: EntityRow) -> EntityRow:
        if row.merged_into is None:
            row.number = self._roots.add(row.number)
        else:
            row.number = len(self._roots) + self._merged.add(row.number)
            row.merged_into = self._roots.find(row.merged_into)
        near = [(number, cosine) for id, cosine in row.near if (number := self._roots.find(id)) is not None]
        row.near = near
        self._plain["entity"].append(row.created)
        return row

    # -- documents

    async def _documents(self) -> AsyncGenerator[list[Row], None]:
        texts = self._read("episode")
        waiting: list[EpisodeRow] = []
        said: dict[int, list[EvidenceRow]] = {}
        async for facts in self._read("fact"):
            found: list[Row] = []
            for fact in facts:
                assert isinstance(fact, FactRow)
                first = fact.evidence[0].episode if fact.evidence else None
                while first is not None and self._last_text < first:
                    if not waiting:
                        waiting, said = await self._next_texts(texts)
                    if not waiting:
                        break
                    found += self._text(waiting.pop(0), said, before=fact.number)
                found.append(self._fact(fact))
            yield found
        while True:
            found = []
            for text in waiting:
                found += self._text(text, said, before=None)
            yield found
            waiting, said = await self._next_texts(texts)
            if not waiting:
                return

    async def _next_texts(
        self, texts: AsyncIterator[Sequence[Row]]
    ) -> tuple[list[EpisodeRow], dict[int, list[EvidenceRow]]]:
        """The next texts, and what each evidences."""
        rows = [row for row in await anext(texts, None) or () if isinstance(row, EpisodeRow)]
        said: dict[int, list[EvidenceRow]] = {}
        if rows:
            for evidence in await self._reads.export_evidence(self._spaces, [row.number for row in rows]):
                assert evidence.episode is not None
                said.setdefault(evidence.episode, []).append(evidence)
        return rows, said

    def _text(self, row: EpisodeRow, said: dict[int, list[EvidenceRow]], before: int | None) -> list[Row]:
        """A text, and what it evidences of the facts that are written already."""
        id, self._last_text = row.number, row.number
        row.number = self._texts.add(id)
        row.mentions = [number for entity in row.mentions if (number := self._roots.find(entity)) is not None]
        row.mentions.sort()
        self._plain["episode"].append(row.created)
        found: list[Row] = [row]
        for evidence in said.get(id, ()):
            if before is None or evidence.fact < before:
                fact = self._facts.find(evidence.fact)
                if fact is not None:
                    evidence.fact, evidence.episode = fact, row.number
                    found.append(evidence)
        return found

    def _fact(self, row: FactRow) -> FactRow:
        id = row.number
        row.number = self._facts.add(id)
        subject = self._find_entity(row.subject)
        assert subject is not None  # it is of the same namespace, and goes with its facts
        row.subject = subject
        row.object = None if row.object is None else self._find_entity(row.object)
        row.supersedes = self._later.pop(id, [])
        if row.superseded_by is not None:
            later, row.superseded_by = row.superseded_by, self._facts.find(row.superseded_by)
            if later > id:
                self._later.setdefault(later, []).append(row.number)
        row.evidence = [
            self._numbered(one) for one in row.evidence if one.episode is None or one.episode <= self._last_text
        ]
        self._plain["fact"].append(row.created)
        return row

    def _numbered(self, row: EvidenceRow) -> EvidenceRow:
        row.episode = None if row.episode is None else self._texts.find(row.episode)
        return row

    # -- the audit

    def _event(self, row: EventRow) -> EventRow | None:
        number = self._find(row.kind, row.ref)
        if number is None:
            return None  # it is about what was forgotten
        if row.operation == "create" and self._plain[row.kind][number - 1]:
            return None
        row.ref, row.other = number, None if row.other is None else self._find(row.kind, row.other)
        return row

    def _find(self, kind: str, id: int) -> int | None:
        if kind == "entity":
            return self._find_entity(id)
        return (self._texts if kind == "episode" else self._facts).find(id)
