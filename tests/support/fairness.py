"""How evenly the processes of a fleet were served, and how long who waited longest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from tests.support.history import Write


def jain(writes: Iterable[Write]) -> float:
    """Jain's index of the callers' throughputs: 1 where all are equal, 1/n where one of n has everything.

    A throughput is a caller's acknowledged writes by the time from its first call to its last return
    (https://arxiv.org/abs/cs/9809099).
    """
    rates = [len(of_one) / span_of(of_one) for of_one in _by_caller(writes)]
    return sum(rates) ** 2 / (len(rates) * sum(rate**2 for rate in rates))


def worst_wait(writes: Iterable[Write]) -> float:
    """Seconds of the longest acknowledged call."""
    return max(write.returned - write.called for write in writes if write.returned is not None and write.applied) / 1e9


def longest_gap(writes: Iterable[Write]) -> float:
    """Seconds of the longest time in which some caller, between two acknowledgements, got none."""
    gaps = [next - one for of_one in _by_caller(writes) for one, next in pairwise(sorted(map(_returned, of_one)))]
    return max(gaps, default=0) / 1e9


def span_of(writes: Sequence[Write]) -> float:
    """Seconds from the first call to the last return."""
    return (max(map(_returned, writes)) - min(write.called for write in writes)) / 1e9


def _by_caller(writes: Iterable[Write]) -> list[list[Write]]:
    by_caller = defaultdict(list)
    for write in writes:
        if write.applied:
            by_caller[write.caller].append(write)
    return list(by_caller.values())


def _returned(write: Write) -> int:
    assert write.returned is not None
    return write.returned
