"""Rows of a file are brought back: found where the memory has them, made where it has not.

1. An entity is the one that has its names; otherwise it is found as any name is, but two of one namespace never become
   one by that. A text is the one under its key, or the same text of the same time. A fact is the same statement of the
   same time. So the same rows, brought back again, change nothing.
2. What is made has the times that it had. It is known since then, by the clock (``Moment.past``), and the audit has the
   line of its making from then; and one of now, "import", by which others hear of it.
3. A statement that is believed here already, since another time, gets the evidence. Beside it stands, closed, the one
   of the file: what was known before stays so.
4. What the file says was taken back is taken back here.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from ..drafts import Scope
from ..questions import Kind
from .embedding import check_model
from .moment import moment_of
from .parcels import LinesThere, Parcel
from .requests import Beginning, Changes
from .restoring_documents import StatedFacts, Texts
from .restoring_names import Entities
from .steps import UNTIMED, Steps

__all__ = ["Restored", "restore", "restored_already"]

#: By kind and number, the ids of the rows of a parcel, and how many were made.
Restored = tuple[dict[tuple[Kind, int], int], int]


def restore(parcel: Parcel, agent: str | None, timed: AbstractContextManager[object] = UNTIMED) -> Steps[Restored]:
    """Bring rows back, all ``with timed``; return what they are here."""
    with timed:
        return (yield from _restore(parcel, agent))


def _restore(parcel: Parcel, agent: str | None) -> Steps[Restored]:
    spaces = list(dict.fromkeys(parcel.here.values()))
    state = yield from Beginning(spaces, parcel.model is not None)
    check_model(state.model, parcel.model)
    job = _Job(parcel, state, {space: moment_of(Scope(space, agent)) for space in spaces})
    if parcel.entities:
        yield from job.entities()
    if parcel.episodes:
        yield from job.texts()
    if parcel.facts or parcel.evidence:
        yield from job.facts()
    if parcel.events:
        yield from job.lines()
    yield from job.changes()
    return job.ids, job.made


def restored_already(parcel: Parcel, agent: str | None) -> Steps[Restored | None]:
    """What they are here, if there is nothing to be brought back; None: there is."""
    steps, answer = restore(parcel, agent), None
    try:
        while True:
            request = steps.send(answer)
            if isinstance(request, Changes):
                if not request.is_empty:
                    return None
                answer = None
            else:
                answer = yield request
    except StopIteration as end:
        restored: Restored = end.value
        return restored


class _Job(Entities, Texts, StatedFacts):
    """All kinds of rows, and the audit's lines about them."""

    def lines(self) -> Steps[None]:
        rows = [(row, id) for row in self.parcel.events if (id := self._here(row.kind, row.ref)) is not None]
        there = yield from LinesThere([(row.kind, id, row.at, row.operation) for row, id in rows])
        for place, (row, id) in enumerate(rows):
            if place not in there:
                other = None if row.other is None else self._here(row.kind, row.other)
                space = self._space(row.namespace)
                self._past.append((space, row.at, row.agent, row.operation, row.kind, id, other, row.reason))
