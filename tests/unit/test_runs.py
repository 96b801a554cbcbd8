"""Runs of jobs, cut without a connection."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aiomemdb.concurrency.job import Operation, WriteJob
from aiomemdb.sqlite.writing.runs import runs_of

JOINED, OTHER = Operation("joined", lambda *_: None), Operation("other", lambda *_: None)
A, B = "a text", "another text"


def jobs(*given: tuple[Operation, Any, Any]) -> list[WriteJob]:
    return [(None, *job) for job in given]  # type: ignore[misc]


def test_no_jobs_are_no_runs() -> None:
    assert [*runs_of([], JOINED)] == []


def test_neighbours_of_one_text_share_a_run() -> None:
    given = jobs((JOINED, A, 1), (JOINED, A, 2), (JOINED, B, 3), (JOINED, A, 4))
    assert [*runs_of(given, JOINED)] == [(JOINED, A, [1, 2]), (JOINED, B, [3]), (JOINED, A, [4])]


def test_another_operation_of_the_same_text_is_a_run_of_its_own() -> None:
    given = jobs((JOINED, A, 1), (OTHER, A, 2), (OTHER, A, 3), (JOINED, A, 4))
    assert [*runs_of(given, JOINED)] == [(JOINED, A, [1]), (OTHER, A, [2]), (OTHER, A, [3]), (JOINED, A, [4])]


def test_texts_are_compared_by_identity() -> None:
    class Lying:
        def __eq__(self, other: object) -> bool:
            raise ValueError("ambiguous")

        __hash__ = None  # type: ignore[assignment]

    one, other = Lying(), Lying()
    runs = [*runs_of(jobs((JOINED, one, 1), (JOINED, one, 2), (JOINED, other, 3)), JOINED)]
    assert [(subject is one, arguments) for _, subject, arguments in runs] == [(True, [1, 2]), (False, [3])]


def test_no_text_is_a_text_like_any_other() -> None:
    assert [*runs_of(jobs((JOINED, None, 1), (JOINED, None, 2)), JOINED)] == [(JOINED, None, [1, 2])]


@given(st.lists(st.tuples(st.sampled_from([JOINED, OTHER]), st.sampled_from([A, B]))))
def test_runs_are_all_jobs_in_their_order_and_as_long_as_they_can_be(drawn: list[tuple[Operation, str]]) -> None:
    runs = [*runs_of(jobs(*[(operation, text, n) for n, (operation, text) in enumerate(drawn)]), JOINED)]
    assert [*chain.from_iterable([(operation, text)] * len(run) for operation, text, run in runs)] == drawn
    assert [*chain.from_iterable(run for *_, run in runs)] == [*range(len(drawn))]
    for (operation, text, run), (next_operation, next_text, _) in pairwise(runs):
        assert operation is JOINED or len(run) == 1
        assert (operation, text) != (next_operation, next_text) or operation is OTHER
