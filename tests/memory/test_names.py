"""Which names are one, and which may be by likeness."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiomemdb.memory.names import checked_name, fold, is_blank, may_be_one


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
        ("Ac\u200bme\u2060", "acme"),
        ("Ac\u00adme", "acme"),
        ("\ufeffAcme\u200e", "acme"),
        ("می\u200cخواهم", "میخواهم"),
        ("❤\ufe0f", "❤"),
        ("e\u034f\u0301", "é"),
        ("O\u2019Brien", "o'brien"),
        ("O\u02bcBrien", "o'brien"),
        ("O\u00b4Brien", "o'brien"),
        ("O\uff07Brien", "o'brien"),
        ("\u0149", "'n"),
        ("Coca\u2010Cola", "coca-cola"),
        ("Coca\u2011Cola", "coca-cola"),
        ("Coca\u2013Cola", "coca-cola"),
        ("Coca\u2212Cola", "coca-cola"),
        ("Coca\uff0dCola", "coca-cola"),
        ("ハート", "ハート"),
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


@pytest.mark.parametrize("name", ["", " ", "\u200b", "\ufeff \u00ad", "\u2066\u2069", "\u3164"])
def test_a_name_without_a_visible_character_is_empty(name: str) -> None:
    with pytest.raises(ValueError, match="is empty"):
        checked_name("name", name)


EVERY = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
#: Those that Unicode assigns; of the 800,000 others, the ones of the special plane and every 64th.
ASSIGNED = [
    char
    for char in EVERY
    if unicodedata.category(char) not in ("Cn", "Co") or 0xE0000 <= ord(char) < 0xE1000 or ord(char) % 64 == 0
]


def test_what_shows_nothing_is_what_the_standard_says() -> None:
    """Default_Ignorable_Code_Point, as https://www.unicode.org/Public/16.0.0/ucd/DerivedCoreProperties.txt derives it:
    format characters (Cf) and two properties of PropList.txt, without marks that show, annotations and hieroglyphs.
    """
    other = "034F 115F-1160 17B4-17B5 2065 3164 FFA0 FFF0-FFF8 E0000 E0002-E001F E0080-E00FF E01F0-E0FFF"
    variation_selector = "180B-180D 180F FE00-FE0F E0100-E01EF"
    prepended_mark = "0600-0605 06DD 070F 0890-0891 08E2 110BD 110CD"
    ignorable = {char for char in EVERY if unicodedata.category(char) == "Cf"}
    ignorable |= _characters(f"{other} {variation_selector}")
    ignorable -= _characters(f"{prepended_mark} FFF9-FFFB 13430-13440")
    assert len(ignorable) == 4174
    assert {char for char in EVERY if is_blank(char) and not char.isspace()} == ignorable


def _characters(ranges: str) -> set[str]:
    ends = [[int(end, 16) for end in each.split("-")] for each in ranges.split()]
    return {chr(code) for first, *last in ends for code in range(first, (last or [first])[0] + 1)}


def test_no_key_holds_what_shows_nothing_or_another_apostrophe() -> None:
    for char in ASSIGNED:
        key = fold(f"a{char}\u0301b")
        assert fold(key) == key
        assert not any(is_blank(part) for part in key if part != " ")


@given(st.text(max_size=20))
def test_what_is_accepted_has_no_spaces_to_spare(name: str) -> None:
    try:
        accepted = checked_name("name", name)
    except ValueError:
        assert "\0" in name or is_blank(name)
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
