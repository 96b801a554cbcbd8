"""The checker of what survives a power cut sees what it looks for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.faults.survival import broken_promises
from tests.support.history import Write


def write(
    token: int,
    *,
    caller: str = "one",
    returned: int | None = None,
    applied: bool | None = True,
    durable: bool = False,
    more: Sequence[int] = (),
) -> Write:
    """Called at ten times its token."""
    called = token * 10
    return Write(caller, (token, *more), called, called + 5 if returned is None else returned, applied, durable)


def table_of(*tokens: int) -> list[tuple[int, int]]:
    return list(enumerate(tokens, 1))


WRITES = [write(1), write(2, durable=True), write(3), write(4)]


@pytest.mark.parametrize("survivors", [(1, 2), (1, 2, 3), (1, 2, 3, 4)])
def test_a_prefix_that_holds_all_durable_writes_keeps_the_promises(survivors: tuple[int, ...]) -> None:
    assert broken_promises(WRITES, table_of(*survivors), full=False) == []


def test_a_durable_write_that_is_lost_is_found() -> None:
    [found] = broken_promises(WRITES, table_of(1), full=False)
    assert found.startswith("acknowledged and lost: one's write of 2 ")


def test_with_full_durability_every_lost_write_is_found() -> None:
    assert len(broken_promises(WRITES, table_of(1, 2), full=True)) == 2


def test_a_hole_is_found_whatever_the_durability() -> None:
    [found] = broken_promises(WRITES, table_of(1, 2, 4), full=False)
    assert found.startswith("lost, though one's write of 4 ")


def test_a_write_that_is_lost_though_a_later_one_of_another_process_is_there_is_found() -> None:
    [found] = broken_promises([write(1), write(2, caller="another")], table_of(2), full=False)
    assert found.startswith("lost, though it had returned before another's write of 2 ")


def test_writes_of_two_processes_that_overlapped_may_be_in_any_order() -> None:
    assert broken_promises([write(1, returned=21), write(2, caller="another")], table_of(2), full=False) == []


def test_half_a_write_is_found() -> None:
    [found] = broken_promises([write(1, more=[101])], table_of(1), full=False)
    assert "by half" in found


def test_a_failed_write_that_is_there_is_found() -> None:
    [found] = broken_promises([write(1, applied=False)], table_of(1), full=False)
    assert "is there" in found


def test_an_unknown_write_may_be_there_or_not() -> None:
    for survivors in ((1,), (1, 2)):
        assert broken_promises([write(1), write(2, applied=None)], table_of(*survivors), full=True) == []
