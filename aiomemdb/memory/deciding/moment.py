"""When something is decided: the call that does it, and what the audit says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ..drafts import Scope
from ..times import now_micros

__all__ = ["Line", "Moment", "moment_of"]


@dataclass(slots=True, eq=False)
class Moment:
    """One call's place in a job that may be of several.

    Attributes:
        namespace: where it writes.
        at: what the clock says, in microseconds; it may have said more before.
        past: it is of a memory that is brought back: known since this time, by the clock, before all that this one's
            audit has. It leaves no lines.
        before: how many lines of the audit the job's earlier calls leave: the order of knowledge.
        events: (operation, kind, ref, other, reason), in order.
    """

    namespace: str
    agent: str | None
    at: int
    past: int | None = None
    before: int = 0
    events: list[tuple[str, str, int, int | None, str | None]] = field(default_factory=list)

    def line(self) -> Line:
        """The line of the audit that is left next."""
        return Line(self, len(self.events))

    def note(self, operation: str, kind: str, ref: int, other: int | None = None, reason: str | None = None) -> None:
        """Leave a line for the audit."""
        self.events.append((operation, kind, ref, other, reason))


class Line(NamedTuple):
    """A line of the audit that a job leaves: which of those of its call, from 0 on."""

    moment: Moment
    place: int


def moment_of(scope: Scope, at: int | None = None) -> Moment:
    """A call that decides now; ``at`` is what the store's clock says, where it has one."""
    return Moment(scope.namespace, scope.agent, now_micros() if at is None else at)
