"""What may be gone after a power cut, and what may not.

The survivors are a prefix in commit order: of one database handle's writes that is the order of its calls, and what
had returned before another was called came before it. A durable write that was acknowledged is always among them; with
full durability all that were acknowledged are. All else is as ever: whole or not at all, once, a failed one never, rows
in order (``tests.support.history``).
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
    lost = (f"acknowledged and lost: {write}" for write in gone if full or write.durable)
    found = [*islice(lost, _MOST), *islice(_holes(writes, gone, there), _MOST)]
    return found + violations(as_if_unknown, [], table)


def _holes(writes: Sequence[Write], gone: Sequence[Write], there: set[int]) -> Iterator[str]:
    survivors = sorted((write for write in writes if not there.isdisjoint(write.tokens)), key=attrgetter("called"))
    latest = {write.caller: write for write in survivors}
    for write in gone:
        later = latest.get(write.caller)
        if later is not None and write.called < later.called:
            yield f"lost, though {later} came later and is there: {write}"
        elif survivors and write.returned is not None and write.returned < survivors[-1].called:
            yield f"lost, though it had returned before {survivors[-1]} was called, which is there: {write}"
