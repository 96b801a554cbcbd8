"""What may be gone after a power cut, and what may not.

Of one database handle's writes the survivors are a prefix in commit order, which is the order of its calls. A durable
one that was acknowledged is always among them; with full durability all that were acknowledged are. All else is as
ever: whole or not at all, once, a failed one never, rows in order (``tests.support.history``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from operator import attrgetter

from tests.support.history import Write, violations

_MOST = 5


def broken_promises(writes: Sequence[Write], table: Sequence[tuple[int, int]], *, full: bool) -> list[str]:
    """What was lost that must not be, or is there that must not be. ``table`` is (id, token) in order of id."""
    there = {token for _, token in table}
    gone = [write for write in writes if write.applied and not there.issuperset(write.tokens)]
    unsure = {write.tokens for write in gone if there.isdisjoint(write.tokens)}
    as_if_unknown = [replace(write, applied=None) if write.tokens in unsure else write for write in writes]
    found = [
        *(f"acknowledged and lost: {write}" for write in gone if full or write.durable),
        *_holes(writes, gone, there),
    ]
    return found[:_MOST] + violations(as_if_unknown, [], table)


def _holes(writes: Sequence[Write], gone: Sequence[Write], there: set[int]) -> Iterator[str]:
    survivors = [write for write in writes if not there.isdisjoint(write.tokens)]
    latest = {write.caller: write for write in sorted(survivors, key=attrgetter("called"))}
    holes = (write for write in gone if write.caller in latest and write.called < latest[write.caller].called)
    for write in islice(holes, _MOST):
        yield f"lost, though {latest[write.caller]} came later and is there: {write}"
