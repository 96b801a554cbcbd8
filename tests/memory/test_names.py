"""Which names are one, and which may be by likeness."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiomemdb.memory.names import checked_name, fold, may_be_one


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("ACME  Corp", "acme corp"),
        ("ＡＣＭＥ　Ｃｏｒｐ", "acme corp"),
        ("Straße", "strasse"),
        ("ﬁnance", "finance"),
        ("É", "é"),
        ("E\u0301", "é"),
        ("ΜΆΪΟΣ", "μάϊοσ"),
        ("№ 5", "no 5"),
        ("北京", "北京"),
    ],
)
def test_a_name_folds_to_its_key(name: str, key: str) -> None:
    assert fold(name) == key


@given(st.text())
def test_a_key_is_its_own_key(name: str) -> None:
    assert fold(fold(name)) == fold(name)


@given(st.text(st.characters(max_codepoint=127)))
def test_the_short_way_of_ascii_is_the_long_one(name: str) -> None:
    marked = fold(name + " é")
    assert fold(name) == marked.removesuffix("é").rstrip(" ")


@given(st.text(max_size=20))
def test_what_is_accepted_has_no_spaces_to_spare(name: str) -> None:
    try:
        accepted = checked_name("name", name)
    except ValueError:
        assert "\0" in name or not name.strip() or not name.isprintable()
    else:
        assert accepted == " ".join(name.split()) != ""


@pytest.mark.parametrize(
    ("one", "other", "may"),
    [
        ("john smith", "jon smith", True),
        ("microsoft", "mircosoft", True),
        ("queue", "queues", False),
        ("lifoqueue", "queue", False),
        ("apollo 11", "apollo 13", False),
        ("apollo 11 lander", "the apollo 11 lander", True),
        ("room 1 2", "room 2 1", False),
        ("room ١", "room ٢", False),
    ],
)
def test_likeness_may_not_merge_short_words_or_other_numbers(one: str, other: str, may: bool) -> None:
    assert may_be_one(one, other) is may
    assert may_be_one(other, one) is may
