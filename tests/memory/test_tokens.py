"""Tokens of a store without FTS5 are those of FTS5: so the same rows are found, in one order."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing

import pytest

from aiomemdb.memory.stores.postgres.tokens import positions_of, tokens
from aiomemdb.memory.words import form

_SUFFIXES = (
    "ational tional enci anci izer bli alli entli eli ousli ization ation ator alism iveness fulness ousness aliti "
    "iviti biliti logi icate ative alize iciti ical ful ness al ance ence er ic able ible ant ement ment ent ion sion "
    "tion ou ism ate iti ous ive ize ed ing eed ies sses s y e ll ss"
)


def _words(chance: random.Random, count: int) -> list[str]:
    def letters(most: int) -> str:
        return "".join(chance.choice("aeioubcdlstyrwxzy") for _ in range(chance.randint(0, most)))

    suffixes = _SUFFIXES.split()
    suffixed = [
        letters(5) + chance.choice(suffixes) + (chance.choice(suffixes) if chance.random() < 0.3 else "")
        for _ in range(count)
    ]
    return [*suffixed, *(letters(70) for _ in range(count // 50))]


def _by_fts5(text: str) -> list[str]:
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.execute("CREATE VIRTUAL TABLE t USING fts5(x, tokenize='porter unicode61 remove_diacritics 2')")
        conn.execute("CREATE VIRTUAL TABLE v USING fts5vocab(t, 'instance')")
        conn.execute("INSERT INTO t VALUES (?)", (text,))
        return [row[0] for row in conn.execute("SELECT term FROM v ORDER BY offset")]


@pytest.mark.parametrize("seed", range(3))
def test_stems_are_those_of_fts5(seed: int) -> None:
    text = form(" . ".join(_words(random.Random(seed), 8_000)))
    ours, theirs = tokens(text), _by_fts5(text)
    assert len(ours) == len(theirs)
    assert [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]] == []


@pytest.mark.parametrize(
    "text",
    [
        "C++, don't e-mail: 192.168.0.1 foo_bar café Ångström ŁÓDŹ ﬁne Straße ß",
        "東京タワーに行った 한국어 ภาษาไทย हिन्दी नमस्ते العربية עִבְרִית",
        "x² ½ Ⅷ ٣ 🌹roses🌹 a\u0301b\u0327 \u200bzero\u00adwidth",
        "",
    ],
)
def test_a_token_is_what_it_is_to_fts5(text: str) -> None:
    assert tokens(form(text)) == _by_fts5(form(text))


def test_no_phrase_goes_from_one_text_into_the_next() -> None:
    places, count = positions_of(("white roses", "red roses"))
    assert (places, count) == ({"white": [0], "rose": [1, 4], "red": [3]}, 4)


def test_a_very_long_word_is_found_by_a_digest() -> None:
    one, other = tokens("x" * 100_000), tokens("x" * 99_999 + "y")
    assert one != other and max(map(len, [*one, *other])) < 300
