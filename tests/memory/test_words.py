"""Words: one form for what is stored and asked, dates in one form, and which words of a question are looked for."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiomemdb.memory.dates import Day, written
from aiomemdb.memory.names import FOLDED
from aiomemdb.memory.words import Asked, _form, asked, choose, counted, form, indexed, keys_in

# -- one form


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ΑΘΗΝΑ", "αθηνα"),
        ("Ἀθῆνα", "αθηνα"),
        ("ΟΔΟΣ", "οδος"),
        ("Фёдор", "ФЕДОР"),
        ("Łódź", "lodz"),
        ("straße", "STRASSE"),
        ("ﬁnancial", "financial"),
        ("soft\u00adhyphen", "softhyphen"),
        ("ＦＵＬＬ　ｗｉｄｔｈ", "full width"),
        (unicodedata.normalize("NFD", "서울"), "서울"),
        ("ﾃﾞｰﾀ", "データ"),
        ("İstanbul", "istanbul"),
        ("مُحَمَّد", "محمد"),
        ("cafe\u0301", "CAFÉ"),
    ],
)
def test_ways_to_write_a_word_have_one_form(one: str, other: str) -> None:
    assert form(one) == form(other)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("東京タワー", ["東京", "京タ", "タワ", "ワー", "ー"]),
        ("猫", ["猫"]),
        ("서울에서 만나요", ["서울", "울에", "에서", "서", "만나", "나요", "요"]),
        ("iPhone手机", ["iphone", "手机", "机"]),
    ],
)
def test_scripts_that_part_no_words_become_pairs(text: str, words: list[str]) -> None:
    assert form(text).split() == words


def test_marks_of_thai_stay_with_their_letters() -> None:
    words = form("กี่คน").split()
    assert len(words) == 3 and len(words[0]) == 4 and words[1:] == ["คน", "น"]
    assert form("กี่") != form("กา")


def test_ascii_needs_no_form_of_its_own() -> None:
    assert indexed("Ada lives in Ockham") == (None, "")
    assert indexed("Łódź") == ("lodz", "")


def test_what_a_text_says_itself_is_not_indexed_twice() -> None:
    assert indexed("Ada drinks tea", "tea", "", "Earl Grey") == (None, "earl grey")


@given(st.text())
@example("\uf8f0b1 \uf8f120240201")
def test_no_text_looks_like_a_token_of_ours(text: str) -> None:
    assert "\uf8f0" not in form(text) and "\uf8f1" not in form(text)


# -- dates


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-01",
        "2024/2/1",
        "2024.02.01",
        "1 February 2024",
        "1st of February, 2024",
        "01 Feb 2024",
        "Feb. 1, 2024",
        "FEBRUARY 1st 2024",
        "1.2.2024",
        "2024年2月1日",
        "2024년 2월 1일",
    ],
)
def test_a_day_is_known_in_its_usual_forms(text: str) -> None:
    assert [day for _, day in written(f"It was on {text}, I think.")] == [Day(2024, 2, 1)]


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("on 1 February", [Day(None, 2, 1)]),
        ("2月1日", [Day(None, 2, 1)]),
        ("in February 2024", [Day(2024, 2, None)]),
        ("on 03/04/2024", [Day(2024, 4, 3, either=True)]),
        ("on 13/04/24", [Day(2024, 4, 13)]),
        ("on 04/13/2024", [Day(2024, 4, 13)]),
        ("from 1 May to 2 May", [Day(None, 5, 1), Day(None, 5, 2)]),
        ("on 30 February", []),
        ("version 3.2.1.0 of 10.0.0.1", []),
        ("1 mayor, 2 marches, May 5:30", []),
        ("2024-13-45", []),
    ],
)
def test_days_of_no_year_months_and_what_is_no_date(text: str, days: list[Day]) -> None:
    assert [day for _, day in written(text)] == days


def test_a_day_meets_itself_and_no_other_year() -> None:
    stored = {*Day(2024, 2, 1).stored()}
    assert stored & {*Day(2024, 2, 1).asked()} and stored & {*Day(None, 2, 1).asked()}
    assert stored & {*Day(2024, 2, None).asked()}
    assert not stored & {*Day(2023, 2, 1).asked(), *Day(2024, 1, 2).asked(), *Day(2024, 1, None).asked()}
    assert {*Day(None, 2, 1).stored()} & {*Day(2024, 2, 1).asked()}


# -- what is asked


def test_common_words_are_told_from_others() -> None:
    said = {each.wholes[0]: each.common for each in asked("Where does Will LIVE, and since when?")}
    assert said == {
        "where": True,
        "does": True,
        "will": False,
        "live": False,
        "and": True,
        "since": False,
        "when": True,
    }


@pytest.mark.parametrize(
    ("token", "pieces", "exact"),
    [
        ("192.168.1.17", "192 168 1 17", True),
        ("v1.2-beta", "v1 2 beta", True),
        ("mother-in-law", "mother in law", False),
        ("/etc/hosts", "etc hosts", False),
        ("ab-12/x", "ab 12 x", True),
    ],
)
def test_the_pieces_of_a_token_are_a_phrase(token: str, pieces: str, exact: bool) -> None:
    assert asked(f"What of {token}?")[-1] == Asked((pieces,), tuple(pieces.split()), exact)


def test_a_possessive_is_its_name() -> None:
    assert asked("Ada's")[0].wholes == ("ada",)


@given(st.text())
def test_no_word_holds_query_syntax(query: str) -> None:
    for word in counted(asked(query)):
        assert not set(word) & set("\"*^:(){}+-'\t\n\0"), word


def test_of_a_phrase_with_digits_the_pieces_are_looked_for_only_without_it() -> None:
    version = [Asked(("3 11",), ("3", "11"), exact=True)]
    assert choose(version, {"3 11": 1, "3": 5, "11": 5}, 100) == ["3 11"]
    assert choose(version, {"3 11": 0, "3": 5, "11": 4}, 100) == ["11", "3"]
    words = [Asked(("mother law",), ("mother", "law"))]
    assert choose(words, {"mother law": 1, "mother": 5, "law": 0}, 100) == ["mother law", "mother"]


def test_the_rarest_words_are_looked_for_until_their_rows_are_too_many() -> None:
    words = [Asked((word,)) for word in ("often", "seldom", "rare", "never")]
    counts = {"often": 50, "seldom": 9, "rare": 2, "never": 0}
    assert choose(words, counts, 100) == ["rare", "seldom", "often"]
    assert choose(words, counts, 20) == ["rare", "seldom"]
    assert choose(words, counts, 1) == ["rare"]


def test_common_words_are_looked_for_where_there_are_no_others_or_few_rows_have_them() -> None:
    words = [Asked(("who",), common=True), Asked(("will",), common=True), Asked(("roses",))]
    assert choose(words, {"who": 9, "will": 1, "roses": 3}, 100) == ["will", "roses"]
    assert choose(words[:2], {"who": 9, "will": 7}, 100) == ["will", "who"]
    assert choose(words, {"who": 9, "will": 7, "roses": 0}, 100) == ["will", "who"]


def test_words_of_a_long_question_come_from_all_of_it() -> None:
    words = asked(" ".join(f"word{n}" for n in range(3_000)))
    counts = {f"word{n}": 3_000 - n for n in range(3_000)}
    chosen = choose(words, counts, 10**9)
    assert len(chosen) == 64 and chosen[0] == "word2999"


# -- names


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("Where does Ada Lovelace live?", "ada lovelace"),
        ("Is that ADA'S?", "ada"),
        ("who wrote 'C++'?", "c++"),
        ("what is .NET", ".net"),
        ("A. A. L.", "a. a. l."),
        ("(Acme Corp.)", "acme corp"),
        ("من هو محمد؟", "محمد"),
        ("彼は「山田太郎」と会った。", "山田太郎"),
        ("東京タワーはどこですか", "東京タワー"),
        (f"{'word ' * 300}Ada Lovelace?", "ada lovelace"),
        ("Where is Will?", "will"),
    ],
)
def test_names_in_a_question_are_found_as_they_are_normalised(query: str, name: str) -> None:
    assert name in keys_in(query, FOLDED)


def test_common_words_are_no_names() -> None:
    assert keys_in("where is it", FOLDED) == ["where is it", "where is", "is it"]


@given(
    st.lists(
        st.one_of(
            st.text(max_size=8),
            st.text("aB .-éÉ\u0301´ßſıİ東京がカ\u3099ﾞΑΣς한글\u1100\u1161\n\u00a0\u00ad\uf8f1ﬁกำ", max_size=8),
            st.text("ab cd.", min_size=35, max_size=60),
        ),
        max_size=6,
    ).map("".join)
)
def test_few_words_beyond_ascii_have_the_form_that_they_have_in_the_whole(text: str) -> None:
    """Of a long text those words alone are taken to their form."""
    assert form(text) == _form(text)


def test_a_word_of_latin_letters_between_others_is_folded_once() -> None:
    assert form("É AB É") == "e ab e"
    far = "ABC " * 20
    assert form(f"{far}É{far}Ł {far}") == f"{far}É{far}Ł {far}".lower().replace("é", "e").replace("ł", "l")
