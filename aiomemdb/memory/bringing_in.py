"""Rows of a file in parcels, each a job: documents with their facts are never apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..formats.rows import EntityRow, EpisodeRow, EventRow, EvidenceRow, FactRow, Row
from .deciding.parcels import Parcel
from .numbers import Ids
from .questions import Kind, Model

__all__ = ["BringingIn", "Packer"]

_CHARACTERS = 2_000


class Packer:
    """Takes rows in the order of a file, and packs them."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self._next: Row | None = next(rows, None)
        self._text = 0  # the number of the text at hand

    def pack(self, size: float) -> list[Row]:
        """The rows of the next parcel, which weigh so much or are one document; []: there are no more."""
        packed: list[Row] = []
        weight = 0.0
        while (row := self._next) is not None:
            if packed and (_stage(row) != _stage(packed[0]) or (weight >= size and self._begins(row))):
                break
            if isinstance(row, EpisodeRow):
                self._text = row.number
            packed.append(row)
            weight += weight_of(row)
            self._next = next(self._rows, None)
        return packed

    def _begins(self, row: Row) -> bool:
        """Whether it can be apart from the row before it."""
        if isinstance(row, FactRow):
            return all(one.episode != self._text for one in row.evidence)
        return not isinstance(row, EvidenceRow) or row.episode != self._text


def _stage(row: Row) -> int:
    """Those of a later stage speak of those of an earlier one as things that are there."""
    if isinstance(row, EntityRow):
        return 0 if row.merged_into is None else 1
    return 3 if isinstance(row, EventRow) else 2


def weight_of(row: Row) -> float:
    if isinstance(row, EpisodeRow):
        return 1 + len(row.content) / _CHARACTERS + len(row.mentions) / 8
    return 0.3 if isinstance(row, EvidenceRow | EventRow) else 1.0


class BringingIn:
    """What the rows of a file have become, as far as they are here.

    Args:
        here: by a namespace of the file, where its rows go.
    """

    def __init__(self, here: Mapping[str, str], model: Model | None) -> None:
        self._here = here
        self._model = model
        self._ids: dict[Kind, Ids] = {"entity": Ids(), "episode": Ids(), "fact": Ids()}
        self._of_space: dict[tuple[Kind, str], Ids] = defaultdict(Ids)

    def parcel(self, rows: list[Row]) -> Parcel:
        """Rows with all that they refer to."""
        parcel = Parcel(self._here, lambda kind, space, id: id in self._of_space[kind, space], self._model)
        lists: dict[type, list[Any]] = {
            EntityRow: parcel.entities,
            EpisodeRow: parcel.episodes,
            FactRow: parcel.facts,
            EvidenceRow: parcel.evidence,
            EventRow: parcel.events,
        }
        for row in rows:
            lists[type(row)].append(row)
            for kind, number in _spoken_of(row):
                id = self._ids[kind].find(number)
                if id is not None:
                    parcel.found[kind, number] = id
        return parcel

    def became(self, parcel: Parcel, ids: Mapping[tuple[Kind, int], int]) -> None:
        """The rows of a parcel are here."""
        parts: dict[Kind, Sequence[EntityRow | EpisodeRow | FactRow]] = {
            "entity": parcel.entities,
            "episode": parcel.episodes,
            "fact": parcel.facts,
        }
        for kind, rows in parts.items():
            for row in rows:
                id = ids[kind, row.number]
                self._ids[kind].add(row.number, id)
                self._of_space[kind, row.namespace].add(row.number, id)


def _spoken_of(row: Row) -> Iterator[tuple[Kind, int]]:
    """What a row refers to."""
    if isinstance(row, EntityRow):
        if row.merged_into is not None:
            yield "entity", row.merged_into
        yield from (("entity", number) for number, _ in row.near)
    elif isinstance(row, EpisodeRow):
        yield from (("entity", number) for number in row.mentions)
    elif isinstance(row, FactRow):
        yield "entity", row.subject
        if row.object is not None:
            yield "entity", row.object
        if row.superseded_by is not None:
            yield "fact", row.superseded_by
        yield from (("fact", number) for number in row.supersedes)
        yield from (("episode", one.episode) for one in row.evidence if one.episode is not None)
    elif isinstance(row, EvidenceRow):
        yield "fact", row.fact
        if row.episode is not None:
            yield "episode", row.episode
    else:
        yield row.kind, row.ref
        if row.other is not None:
            yield row.kind, row.other
