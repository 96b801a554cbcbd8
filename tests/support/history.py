"""Did many processes that appended to one table, and read it, get what was promised?

A history is what every caller of every process called and what returned, with times, and the table as it was in the
end. Commit order is the order of the table's ids: rows are only appended, ids are never given by callers.

=================  ================================================================================================
real-time order    a write that returned before another was called stands before it
caller's order     one caller's writes stand in the order of their calls, also where they overlapped
reads are prefixes a read saw exactly the first n rows, and no part of a job
read your writes   a read sees every write that returned before it was called, and never less than an earlier read
not the future     a read sees no write that was called after it returned
exactly once       an acknowledged write is there once, a failed one never, an unknown one at most once, each wholly
                   and its rows together; nothing is there that was not written
=================  ================================================================================================

These are what strict serializability (https://jepsen.io/consistency/models/strong-serializable) comes to for a table
that is only appended to, so each takes O(n log n) and no search. Pure: it knows no SQLite and no processes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, islice, pairwise
from operator import attrgetter, itemgetter

_MOST_OF_EACH = 5  # a broken promise is mostly broken a thousand times


@dataclass(frozen=True, slots=True)
class Write:
    """One job that appended ``tokens`` to the table, in this order.

    Attributes:
        caller: orders its calls among themselves: one database handle of one process.
        tokens: no other write of the history has one of them.
        called, returned: nanoseconds of ``time.monotonic_ns()``, one clock for all processes of a machine;
            ``returned`` is None where no caller was there to hear it.
        applied: True, acknowledged; False, failed and not applied; None, unknown.
        durable: acknowledged, it is on stable storage.
    """

    caller: str
    tokens: tuple[int, ...]
    called: int
    returned: int | None = None
    applied: bool | None = None
    durable: bool = False

    def __str__(self) -> str:
        rows = ", ".join(map(str, self.tokens))
        return f"{self.caller}'s write of {rows} [applied={self.applied}, {_span(self.called, self.returned)}]"


@dataclass(frozen=True, slots=True)
class Read:
    """One read of the whole table: how many rows, the last one's id (0: none) and the sum of all tokens."""

    caller: str
    called: int
    returned: int
    count: int
    last: int
    total: int

    def __str__(self) -> str:
        return f"{self.caller}'s read of {self.count} rows [{_span(self.called, self.returned)}]"


@dataclass(frozen=True, slots=True)
class _Placed:
    """A write that is in the table, as its rows ``first`` to ``last``, counted from 1."""

    write: Write
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.write} at row {self.first}"


def violations(writes: Sequence[Write], reads: Sequence[Read], table: Sequence[tuple[int, int]]) -> list[str]:
    """The promises that were broken, by which calls; at most a few of each. ``table`` is (id, token) in order of id.

    Raises ``ValueError`` where the history itself makes no sense: a token of two writes, ids that do not ascend.
    """
    if any(one >= next for (one, _), (next, _) in pairwise(table)):
        raise ValueError("the table's ids do not ascend")
    if len({token for write in writes for token in write.tokens}) != sum(len(write.tokens) for write in writes):
        raise ValueError("two writes have the same token")
    placed = list(_placed(writes, table))
    checks = {
        "exactly once": _exactly_once(writes, table),
        "real-time order": _real_time_order(placed),
        "caller's order": _callers_order(placed),
        "reads are prefixes": _reads_are_prefixes(reads, table, placed),
        "read your writes": _read_your_writes(reads, placed),
        "not the future": _not_the_future(reads, placed),
    }
    return [f"{name}: {found}" for name, check in checks.items() for found in islice(check, _MOST_OF_EACH)]


def _placed(writes: Iterable[Write], table: Sequence[tuple[int, int]]) -> Iterator[_Placed]:
    """The writes that are there; from its first to its last row, where one's rows are scattered."""
    rows: dict[int, int] = {}
    for row, (_, token) in enumerate(table, 1):
        rows.setdefault(token, row)
    for write in writes:
        found = [rows[token] for token in write.tokens if token in rows]
        if found:
            yield _Placed(write, min(found), max(found))


def _exactly_once(writes: Sequence[Write], table: Sequence[tuple[int, int]]) -> Iterator[str]:
    rows: defaultdict[int, list[int]] = defaultdict(list)
    for row, (_, token) in enumerate(table, 1):
        rows[token].append(row)
    for write in writes:
        found = [rows.pop(token, []) for token in write.tokens]
        there = [row for each in found for row in each]
        if not there:
            if write.applied:
                yield f"{write} is not there"
        elif write.applied is False:
            yield f"{write} is there, at rows {there}"
        elif any(len(each) > 1 for each in found):
            yield f"{write} is there more than once, at rows {there}"
        elif not all(found):
            yield f"{write} is there by half, at rows {there}"
        elif there != list(range(there[0], there[0] + len(there))):
            yield f"{write} is there in parts, at rows {there}"
    for token, at in rows.items():
        yield f"not written: {token}, at rows {at}"


class _Highest:
    """The highest of some numbers before a moment, and its owner."""

    def __init__(self, events: Iterable[tuple[int, int, object]]) -> None:
        """``events`` are (time, number, owner)."""
        ordered = sorted(events, key=itemgetter(0))
        self._times = [time for time, _, _ in ordered]
        self._highest = list(accumulate((event[1:] for event in ordered), partial(max, key=itemgetter(0))))

    def before(self, time: int) -> tuple[int, object]:
        """(number, owner); (0, None) where there was none yet."""
        count = bisect_left(self._times, time)
        return self._highest[count - 1] if count else (0, None)


def _acknowledged(placed: Iterable[_Placed]) -> Iterator[tuple[int, _Placed]]:
    """Only what a caller was told binds what comes later."""
    for each in placed:
        if each.write.applied and each.write.returned is not None:
            yield each.write.returned, each


def _real_time_order(placed: Sequence[_Placed]) -> Iterator[str]:
    returned = _Highest((time, each.first, each) for time, each in _acknowledged(placed))
    for each in placed:
        row, earlier = returned.before(each.write.called)
        if row > each.first:
            yield f"{earlier} had returned before {each} was called"


def _callers_order(placed: Sequence[_Placed]) -> Iterator[str]:
    by_caller = defaultdict(list)
    for each in sorted(placed, key=attrgetter("write.called")):
        by_caller[each.write.caller].append(each)
    for calls in by_caller.values():
        for one, next in pairwise(calls):
            if one.first > next.first:
                yield f"{one} was called before {next}"


def _reads_are_prefixes(
    reads: Iterable[Read], table: Sequence[tuple[int, int]], placed: Iterable[_Placed]
) -> Iterator[str]:
    totals = list(accumulate((token for _, token in table), initial=0))
    together = (each for each in placed if each.last - each.first < len(each.write.tokens))
    parts = {row: each for each in together for row in range(each.first, each.last)}
    for read in reads:
        if read.count > len(table):
            yield f"{read}, but there are only {len(table)} in the end"
            continue
        last = table[read.count - 1][0] if read.count else 0
        if (read.last, read.total) != (last, totals[read.count]):
            yield (
                f"{read} up to id {read.last} with the sum {read.total}, but the first {read.count} rows go up to "
                f"id {last} with the sum {totals[read.count]}"
            )
        elif read.count in parts:
            yield f"{read} saw a part of {parts[read.count]}"


def _read_your_writes(reads: Sequence[Read], placed: Iterable[_Placed]) -> Iterator[str]:
    written = _Highest((time, each.last, each) for time, each in _acknowledged(placed))
    seen = _Highest((read.returned, read.count, read) for read in reads)
    for read in reads:
        for count, earlier in (written.before(read.called), seen.before(read.called)):
            if count > read.count:
                yield f"{earlier} had returned before {read} was called"


def _not_the_future(reads: Iterable[Read], placed: Iterable[_Placed]) -> Iterator[str]:
    in_order = sorted(placed, key=attrgetter("first"))
    firsts = [each.first for each in in_order]
    latest = list(accumulate(in_order, partial(max, key=attrgetter("write.called"))))
    for read in reads:
        count = bisect_left(firsts, read.count + 1)
        if count and latest[count - 1].write.called > read.returned:
            yield f"{latest[count - 1]} was called after {read} had returned"


def _span(called: int, returned: int | None) -> str:
    return f"{called / 1e9:.6f} to {'?' if returned is None else f'{returned / 1e9:.6f}'} s"
