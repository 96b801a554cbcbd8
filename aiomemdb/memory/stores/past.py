"""What was imported: known since a time, before all that the memory's own audit has."""

from __future__ import annotations

__all__ = ["FIRST_LINE_OF_PAST", "clock_of_past", "of_past"]

# It is known since a time, not since a line of this memory's audit. Its column holds that time less this: it is below
# all lines, and the order of times is kept.
_PAST = 2**62

#: Below it there is no line of the audit; those that were imported are above it, and below 0.
FIRST_LINE_OF_PAST: int = -(2**62)


def of_past(at: int) -> int:
    """A time as what stands for a line of the audit, in the rows of what was imported."""
    return at - _PAST


def clock_of_past(event: int) -> int:
    """The time that stands for a line."""
    return event + _PAST
