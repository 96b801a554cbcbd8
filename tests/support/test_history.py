"""The checker of histories, checked: right ones pass, and for each promise a wrong one is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import accumulate

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.history import Read, Write, violations


def write(token: int, called: int, returned: int | None, *, caller: str = "", applied: bool | None = True) -> Write:
    return Write(caller or f"caller of {token}", (token,), called, returned, applied)


def read(called: int, returned: int, tokens: list[int]) -> Read:
    return Read("reader", called, returned, len(tokens), len(tokens), sum(tokens))


def table(*tokens: int) -> list[tuple[int, int]]:
    return list(enumerate(tokens, 1))


def promises(found: list[str]) -> set[str]:
    return {violation.partition(":")[0] for violation in found}


def test_writes_that_overlap_may_stand_in_any_order() -> None:
    writes = [write(7, 0, 10), write(8, 5, 15)]
    assert violations(writes, [], table(7, 8)) == []
    assert violations(writes, [], table(8, 7)) == []


def test_a_read_may_see_or_miss_a_write_that_overlaps_it() -> None:
    for seen in ([], [7]):
        assert violations([write(7, 0, 10)], [read(5, 15, seen)], table(7)) == []


def test_a_write_of_unknown_outcome_may_be_there_or_not() -> None:
    for there in ([7], [7, 8], [7, 9], [7, 9, 8]):
        writes = [write(7, 0, 10), write(8, 20, None, applied=None), write(9, 20, 30, applied=None)]
        assert violations(writes, [], table(*there)) == []


def test_a_write_may_still_come_after_its_caller_heard_that_the_outcome_is_unknown() -> None:
    writes = [write(7, 0, 10, applied=None), write(8, 20, 30)]
    assert violations(writes, [read(40, 50, [8])], table(8, 7)) == []


def test_ids_may_have_gaps() -> None:
    seen = Read("reader", 20, 30, 2, 9, 15)
    assert violations([write(7, 0, 10), write(8, 0, 10)], [seen], [(3, 7), (9, 8)]) == []


def test_a_write_before_one_that_had_returned_is_found() -> None:
    found = violations([write(7, 0, 10), write(8, 20, 30)], [], table(8, 7))
    assert promises(found) == {"real-time order"}
    assert "caller of 7" in found[0] and "caller of 8" in found[0]


def test_a_write_of_unknown_outcome_before_one_that_had_returned_is_found() -> None:
    writes = [write(7, 0, 10), write(8, 20, None, applied=None)]
    assert promises(violations(writes, [], table(8, 7))) == {"real-time order"}


def test_a_caller_with_overlapping_writes_in_changed_places_is_found() -> None:
    writes = [write(7, 0, 20, caller="one"), write(8, 5, 25, caller="one")]
    assert promises(violations(writes, [], table(8, 7))) == {"caller's order"}


@pytest.mark.parametrize(
    "seen",
    [Read("r", 0, 90, 1, 1, 8), Read("r", 0, 90, 1, 2, 7), Read("r", 0, 90, 0, 1, 0), Read("r", 0, 90, 3, 3, 15)],
)
def test_a_read_that_saw_no_prefix_is_found(seen: Read) -> None:
    writes = [write(7, 0, 10), write(8, 0, 10)]
    assert "reads are prefixes" in promises(violations(writes, [seen], table(7, 8)))


def test_a_read_that_saw_a_part_of_a_job_is_found() -> None:
    job = Write("one", (7, 8), 0, 10, True)
    assert promises(violations([job], [read(0, 10, [7])], table(7, 8))) == {"reads are prefixes"}


def test_a_read_that_missed_a_write_that_had_returned_is_found() -> None:
    found = violations([write(7, 0, 10)], [read(11, 20, [])], table(7))
    assert promises(found) == {"read your writes"}


def test_a_read_that_went_back_is_found() -> None:
    reads = [read(0, 10, [7]), read(11, 20, [])]
    assert promises(violations([write(7, 0, 30)], reads, table(7))) == {"read your writes"}


def test_a_read_that_saw_what_was_called_later_is_found() -> None:
    assert promises(violations([write(7, 20, 30)], [read(0, 10, [7])], table(7))) == {"not the future"}


@pytest.mark.parametrize(
    ("why", "job", "there"),
    [
        ("is not there", Write("one", (7,), 0, 10, True), []),
        ("is there, at rows", Write("one", (7,), 0, 10, False), [7]),
        ("more than once", Write("one", (7,), 0, 10, True), [7, 7]),
        ("more than once", Write("one", (7,), 0, None, None), [7, 7]),
        ("by half", Write("one", (7, 8), 0, 10, True), [7]),
        ("by half", Write("one", (7, 8), 0, None, None), [8]),
        ("in parts", Write("one", (7, 8), 0, 10, True), [8, 7]),
        ("in parts", Write("one", (7, 8), 0, 10, True), [7, 1, 8]),
        ("not written: 9", Write("one", (7,), 0, 10, True), [7, 9]),
    ],
)
def test_what_is_not_there_exactly_once_is_found(why: str, job: Write, there: list[int]) -> None:
    [found] = violations([job, write(1, 0, None, applied=None)], [], table(*there))
    assert found.startswith("exactly once: ") and why in found


def test_a_history_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="same token"):
        violations([write(7, 0, 10), write(7, 20, 30)], [], table(7))
    with pytest.raises(ValueError, match="ascend"):
        violations([write(7, 0, 10), write(8, 20, 30)], [], [(2, 7), (1, 8)])


def test_of_one_promise_broken_many_times_a_few_are_told() -> None:
    assert len(violations([write(token, 0, 10) for token in range(1, 100)], [], [])) == 5


# -- against a model -----------------------------------------------------------------------------------------


@dataclass
class Model:
    """A table that one call after another reaches, each at a moment between its call and its return."""

    writes: list[Write] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    table: list[tuple[int, int]] = field(default_factory=list)

    def violations(self) -> set[str]:
        return promises(violations(self.writes, self.reads, self.table))

    def seen(self, count: int, like: Read) -> Read:
        """As ``like``, if it had seen the first ``count`` rows."""
        totals = [0, *accumulate(token for _, token in self.table)]
        return replace(like, count=count, last=self.table[count - 1][0] if count else 0, total=totals[count])

    def end_of(self, write: Write) -> int:
        """How many rows a read must see to have seen this write; 0 if it is not there."""
        rows = {token: row for row, (_, token) in enumerate(self.table, 1)}
        return rows.get(write.tokens[-1], 0)


STEP = 10  # between the moments at which two calls reach the table


@st.composite
def models(draw: st.DrawFn) -> Model:
    model, latest, used = Model(), dict.fromkeys("abcd", -1), 0
    for step in range(draw(st.integers(1, 25))):
        caller, moment = draw(st.sampled_from("abcd")), (step + 1) * STEP
        called = max(moment - draw(st.integers(1, 6 * STEP)), latest[caller] + 1)
        returned = moment + draw(st.integers(1, 6 * STEP))
        if draw(st.integers(0, 2)) == 0:
            like = Read("reader " + caller, called, returned, 0, 0, 0)
            model.reads.append(model.seen(len(model.table), like))
            continue
        latest[caller] = called  # one caller's writes reach the table in the order of their calls
        size = draw(st.integers(1, 3))
        tokens = tuple(2**n for n in range(used, used + size))
        used += size
        applied = draw(st.sampled_from([True, True, True, False, None]))
        there = draw(st.booleans()) if applied is None else applied
        heard = applied is not None or draw(st.booleans())
        model.writes.append(Write(caller, tokens, called, returned if heard else None, applied))
        if there:
            model.table += [(len(model.table) + n, token) for n, token in enumerate(tokens, 1)]
    return model


@given(models())
def test_every_history_of_the_model_is_right(model: Model) -> None:
    assert model.violations() == set()


def _pick(data: st.DataObject, candidates: list[Write]) -> Write:
    assume(candidates)
    return data.draw(st.sampled_from(candidates))


def _lose_a_row(model: Model, data: st.DataObject) -> str:
    lost = _pick(data, [write for write in model.writes if write.applied])
    model.table = [row for row in model.table if row[1] != lost.tokens[0]]
    return "exactly once"


def _apply_twice(model: Model, data: st.DataObject) -> str:
    again = _pick(data, [write for write in model.writes if model.end_of(write)])
    model.table += [(len(model.table) + n, token) for n, token in enumerate(again.tokens, 1)]
    return "exactly once"


def _apply_a_failed_one(model: Model, data: st.DataObject) -> str:
    failed = _pick(data, [write for write in model.writes if write.applied is False])
    model.table += [(len(model.table) + n, token) for n, token in enumerate(failed.tokens, 1)]
    return "exactly once"


def _invent_a_row(model: Model, data: st.DataObject) -> str:
    model.table.append((len(model.table) + 1, 3))
    return "exactly once"


def _swap_in_time(model: Model, data: st.DataObject) -> str:
    later = _pick(data, [write for write in model.writes if model.end_of(write)])
    earlier = _pick(data, [w for w in model.writes if w.applied and w.returned and w.returned < later.called])
    others = [token for _, token in model.table if token not in earlier.tokens]
    model.table = list(enumerate([*others, *earlier.tokens], 1))
    return "real-time order"


def _swap_of_one_caller(model: Model, data: st.DataObject) -> str:
    later = _pick(data, [write for write in model.writes if model.end_of(write)])
    of_caller = [w for w in model.writes if w.caller == later.caller and model.end_of(w)]
    earlier = _pick(data, [w for w in of_caller if w.called < later.called])
    others = [token for _, token in model.table if token not in earlier.tokens]
    model.table = list(enumerate([*others, *earlier.tokens], 1))
    return "caller's order"


def _see_something_else(model: Model, data: st.DataObject) -> str:
    assume(model.reads)
    at = data.draw(st.integers(0, len(model.reads) - 1))
    seen = model.reads[at]
    what = data.draw(st.sampled_from(["count", "last", "total"]))
    number = getattr(seen, what) + data.draw(st.sampled_from([-1, 1]))
    assume(number >= 0)
    model.reads[at] = replace(seen, **{what: number})
    return "reads are prefixes"


def _see_too_little(model: Model, data: st.DataObject) -> str:
    missed = _pick(data, [write for write in model.writes if write.applied])
    late = [n for n, seen in enumerate(model.reads) if missed.returned and missed.returned < seen.called]
    assume(late)
    at = data.draw(st.sampled_from(late))
    model.reads[at] = model.seen(model.end_of(missed) - len(missed.tokens), model.reads[at])
    return "read your writes"


def _go_back(model: Model, data: st.DataObject) -> str:
    assume(model.table)
    ahead = Read("ahead", 10**6, 10**6 + 1, 0, 0, 0)
    model.reads.append(model.seen(len(model.table), ahead))
    behind = replace(ahead, called=10**6 + 2, returned=10**6 + 3)
    model.reads.append(model.seen(data.draw(st.integers(0, len(model.table) - 1)), behind))
    return "read your writes"


def _see_the_future(model: Model, data: st.DataObject) -> str:
    future = _pick(data, [write for write in model.writes if model.end_of(write)])
    early = [n for n, seen in enumerate(model.reads) if seen.returned < future.called]
    assume(early)
    at = data.draw(st.sampled_from(early))
    model.reads[at] = model.seen(model.end_of(future), model.reads[at])
    return "not the future"


CORRUPTIONS = [
    _lose_a_row,
    _apply_twice,
    _apply_a_failed_one,
    _invent_a_row,
    _swap_in_time,
    _swap_of_one_caller,
    _see_something_else,
    _see_too_little,
    _go_back,
    _see_the_future,
]


@pytest.mark.parametrize("corrupt", CORRUPTIONS)
@settings(max_examples=25)
@given(model=models(), data=st.data())
def test_a_history_that_was_corrupted_is_found(
    corrupt: Callable[[Model, st.DataObject], str], model: Model, data: st.DataObject
) -> None:
    assert corrupt(model, data) in model.violations()
