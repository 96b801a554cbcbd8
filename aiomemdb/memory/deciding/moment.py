"""When something is decided: the call that does it, and what the audit says of it."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Moment"]


@dataclass(slots=True, eq=False)
class Moment:
    """One call's place in a job that may be of several.

    Attributes:
        namespace: where it writes.
        at: what the clock says, in microseconds; it may have said more before.
        event: the first event that the call leaves: the order of knowledge. It is known when all that the calls before
            it leave is.
        events: (operation, kind, ref, other), in order.
    """

    namespace: str
    agent: str | None
    at: int
    event: int = 0
    events: list[tuple[str, str, int, int | None]] = field(default_factory=list)

    def note(self, operation: str, kind: str, ref: int, other: int | None = None) -> None:
        """Leave a line for the audit."""
        self.events.append((operation, kind, ref, other))
