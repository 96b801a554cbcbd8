"""When something is decided: the call that does it, and what the audit says of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..drafts import Scope
from ..times import now_micros

__all__ = ["Moment", "moment_of"]


@dataclass(slots=True, eq=False)
class Moment:
    """One call's place in a job that may be of several.

    Attributes:
        namespace: where it writes.
        at: what the clock says, in microseconds; it may have said more before.
        before: how many lines of the audit the job's earlier calls leave: the order of knowledge.
        events: (operation, kind, ref, other, reason), in order.
    """

    namespace: str
    agent: str | None
    at: int
    before: int = 0
    events: list[tuple[str, str, int, int | None, str | None]] = field(default_factory=list)

    def note(self, operation: str, kind: str, ref: int, other: int | None = None, reason: str | None = None) -> None:
        """Leave a line for the audit."""
        self.events.append((operation, kind, ref, other, reason))


def moment_of(scope: Scope) -> Moment:
    """A call that decides now."""
    return Moment(scope.namespace, scope.agent, now_micros())
