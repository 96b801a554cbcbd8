"""How sure recall is, as numbers alone: what a question's words say, what vectors say, what a hit gets of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiomemdb.memory import rank
from aiomemdb.memory.certainty import calibrated, covered, sure
from aiomemdb.memory.questions import ByWords, Node
from aiomemdb.memory.words import Asked, asked, choose, counted

WORDS = ("roses", "tulips", "harbour", "monks", "the", "v1.2", "well-known")
questions = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
shares = st.floats(0, 1)


def found(question: Sequence[Asked], rows: Sequence[str], *, most: int = 5000) -> ByWords:
    """What a store answers where these rows are readable, each a text of whole words."""
    texts = {id: f" {text} " for id, text in enumerate(rows)}
    having = {word: {id for id, text in texts.items() if f" {word} " in text} for word in counted(question)}
    counts = {word: len(ids) for word, ids in having.items()}
    sought = choose(question, counts, most)
    held = {id: [word for word in sought if id in having[word]] for id in texts}
    return ByWords([(id, 1.0) for id, words in held.items() if words], sought, counts, len(rows), held)


def share(question: str, *rows: str, most: int = 5000) -> float:
    return covered(asked(question), found(asked(question), rows, most=most))


def test_a_row_with_all_that_is_asked_for_covers_it() -> None:
    assert share("roses harbour", "roses", "the roses of the harbour", "tulips") == 1.0


def test_a_question_without_a_word_in_any_row_is_not_covered() -> None:
    assert share("roses harbour", "tulips", "monks") == 0.0
    assert covered(asked("roses"), ByWords()) == 0.0


def test_of_several_rows_the_one_that_has_most_counts() -> None:
    apart, together = share("roses harbour", "roses", "harbour"), share("roses harbour", "roses harbour", "harbour")
    assert apart == pytest.approx(0.5) and together == 1.0


def test_a_word_that_no_row_has_says_most() -> None:
    rows = ["roses"] * 3 + ["tulips"] * 7
    assert share("roses harbour", *rows) < share("roses tulips", *rows) < 0.75
    assert share("tulips harbour", *rows) < share("roses harbour", *rows) < 0.5


def test_what_is_asked_for_besides_lowers_it() -> None:
    rows = ["roses", "tulips", "monks"]
    assert share("roses", *rows) > share("roses harbour", *rows) > share("roses harbour ships", *rows) > 0


def test_common_words_say_nothing() -> None:
    assert share("are the roses there", "roses", "tulips") == 1.0
    assert share("are the roses there", *["are they there in the"] * 3) == 0.0


def test_a_common_word_in_upper_case_is_a_name() -> None:
    rows = ["will sings", *["roses"] * 9]
    assert share("Is Will fond of roses", *rows) < 1 == share("roses, will you", *rows)


def test_where_all_words_are_common_they_are_what_is_asked_for() -> None:
    assert share("who is it", *["who is it"] * 3, "is it", "roses") == 1.0
    assert 0 < share("who is it", *["is it"] * 3, "roses") < 1


def test_words_that_were_not_looked_for_for_being_in_so_many_rows_say_nothing() -> None:
    rows = ["roses", *["tulips"] * 9]
    assert share("roses tulips", *rows, most=5) == 1.0 > share("roses tulips", *rows)


def test_pieces_count_where_no_row_has_the_whole() -> None:
    assert share("well-known", "well known") == 1.0
    assert share("well-known", "known", "roses") == pytest.approx(math.log(2) / math.log(12))  # no "well"
    assert share("1.2.3 roses", "1 roses", "2", "3") == pytest.approx(0.5)


@given(questions, st.lists(questions, max_size=6), st.integers(1, 5))
def test_a_certainty_is_from_0_to_1(question: str, rows: list[str], most: int) -> None:
    assert 0.0 <= share(question, *rows, most=most) <= 1.0 + 1e-12


@given(questions, st.lists(questions, max_size=6))
def test_a_further_row_of_the_question_itself_covers_it(question: str, rows: list[str]) -> None:
    """However rare its words were before."""
    if asked(question):
        text = " ".join(word for each in asked(question) for word in each.wholes)
        assert share(question, *rows, text) == pytest.approx(1.0)


# -- words and vectors


def test_words_and_vectors_are_combined_as_they_rank() -> None:
    assert sure(0.5, 0.25) == pytest.approx((1 - rank.FUSION) * 0.5 + rank.FUSION * 0.25)
    assert sure(0.5, -0.25) == pytest.approx((1 - rank.FUSION) * 0.5)


def test_a_leg_that_has_no_say_takes_nothing() -> None:
    assert (sure(0.5, None), sure(None, 0.25), sure(None, -0.5), sure(None, None)) == (0.5, 0.25, 0.0, 0.0)


@given(shares, st.floats(-1, 1), shares, st.floats(-1, 1))
def test_a_certainty_grows_with_each_leg_and_is_from_0_to_1(
    covered: float, nearest: float, more: float, nearer: float
) -> None:
    at_most = sure(max(covered, more), max(nearest, nearer))
    assert 0 <= sure(covered, nearest) <= at_most <= 1
    assert sure(1, 1) == 1.0


# -- what hits get


@given(st.dictionaries(st.tuples(st.just("fact"), st.integers(0, 9)), st.floats(0, 1e6)), shares)
def test_the_first_one_gets_all_and_the_order_stays(scores: dict[Node, float], sure: float) -> None:
    given = calibrated(scores, sure)
    assert given.keys() == scores.keys() and all(0 <= score <= sure for score in given.values())
    if any(scores.values()):
        assert max(given.values()) == sure
    for one in scores:
        assert all(given[one] >= given[other] for other in scores if scores[one] >= scores[other])


def test_certainties_relate_to_the_first_as_their_ranks_do() -> None:
    assert calibrated({("fact", 1): 1.7, ("fact", 2): 0.85, ("fact", 3): 0.0}, 0.6) == {
        ("fact", 1): 0.6,
        ("fact", 2): pytest.approx(0.3),
        ("fact", 3): 0.0,
    }
    assert calibrated({("fact", 1): 0.0}, 0.6) == {("fact", 1): 0.0} and calibrated({}, 0.6) == {}
