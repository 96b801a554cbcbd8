"""What a word index takes for a token, as FTS5's ``porter unicode61`` does: so the same rows are found, in one order.

Runs of letters, digits and what stands for marks (``words.form`` has folded the rest), each by its stem.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

__all__ = ["positions_of", "stem", "tokens"]

_RUN = re.compile("(?:[^\\W_]|[\ue000-\uf8ff])+")
# Bytes of a word that is stemmed: FTS5 takes others as they are.
_STEMMED = range(3, 65)
# A btree holds a third of a page. What is longer is no word that a person asks for by its begin.
_LONGEST = 200


def tokens(text: str) -> list[str]:
    """The stems of a text that is in its form, in their order."""
    return [_token(run) for run in _RUN.findall(text)]


def positions_of(texts: Iterable[str]) -> tuple[dict[str, list[int]], int]:
    """Where each token stands in several texts, and how many there are. Between two texts there is a gap, as no phrase
    goes from one into the next.
    """
    found: dict[str, list[int]] = {}
    place = count = 0
    for text in texts:
        for token in tokens(text):
            found.setdefault(token, []).append(place)
            place += 1
            count += 1
        place += 1
    return found, count


@lru_cache(maxsize=65_536)
def _token(run: str) -> str:
    word = stem(run)
    if len(word) <= _LONGEST:
        return word
    return f"{word[:_LONGEST]}-{hashlib.sha256(word.encode()).hexdigest()}"


# -- stems -------------------------------------------------------------------------------------------------------------
#
# M. F. Porter, "An algorithm for suffix stripping" (1980): https://tartarus.org/martin/PorterStemmer/def.txt, with his
# two later changes (bli, logi). A word is bytes here: what is not ASCII is a consonant, and counts by its bytes.

_STEP_2 = (
    "ational ate,tional tion,enci ence,anci ance,izer ize,bli ble,alli al,entli ent,eli e,ousli ous,ization ize,"
    "ation ate,ator ate,alism al,iveness ive,fulness ful,ousness ous,aliti al,iviti ive,biliti ble,logi log"
)
_STEP_3 = "icate ic,ative ,alize al,iciti ic,ical ic,ful ,ness "
_STEP_4 = "al,ance,ence,er,ic,able,ible,ant,ement,ment,ent,ion,ou,ism,ate,iti,ous,ive,ize"


def _rules(text: str) -> list[tuple[bytes, bytes]]:
    """Suffixes and what takes their places, the longest first."""
    pairs = [(rule.partition(" ")[0].encode(), rule.partition(" ")[2].encode()) for rule in text.split(",")]
    return sorted(pairs, key=lambda pair: -len(pair[0]))


_RULES_2, _RULES_3, _RULES_4 = map(_rules, (_STEP_2, _STEP_3, _STEP_4))


def stem(word: str) -> str:
    """The stem of a word in lower case."""
    data = word.encode()
    if len(data) not in _STEMMED:
        return word
    data = _plurals(data)
    data = _past(data)
    if data.endswith(b"y") and _has_vowel(data[:-1]):
        data = data[:-1] + b"i"
    for rules in (_RULES_2, _RULES_3):
        data = _replaced(data, rules)
    data = _dropped(data)
    if data.endswith(b"e"):
        measure = _measure(data[:-1])
        if measure > 1 or (measure == 1 and not _ends_short(data[:-1])):
            data = data[:-1]
    if data.endswith(b"ll") and _measure(data[:-1]) > 1:
        data = data[:-1]
    return data.decode(errors="surrogateescape")


def _has(data: bytes, suffix: bytes) -> bool:
    """Whether there is a suffix, and something before it."""
    return len(data) > len(suffix) and data.endswith(suffix)


def _plurals(data: bytes) -> bytes:
    if _has(data, b"sses") or _has(data, b"ies"):
        return data[:-2]
    return data[:-1] if data.endswith(b"s") and not data.endswith(b"ss") else data


def _past(data: bytes) -> bytes:
    if _has(data, b"eed"):
        return data[:-1] if _measure(data[:-3]) > 0 else data
    for suffix in (b"ed", b"ing"):
        if _has(data, suffix):
            rest = data[: -len(suffix)]
            return _restored(rest) if _has_vowel(rest) else data
    return data


def _restored(data: bytes) -> bytes:
    """What is left of a word without its "ed" or "ing", as a word."""
    if data.endswith((b"at", b"bl", b"iz")):
        return data + b"e"
    if len(data) > 1 and data[-1] == data[-2] and data[-1] not in b"aeioulsz":
        return data[:-1]
    return data + b"e" if _measure(data) == 1 and _ends_short(data) else data


def _replaced(data: bytes, rules: list[tuple[bytes, bytes]]) -> bytes:
    for suffix, other in rules:
        if _has(data, suffix):
            rest = data[: -len(suffix)]
            return rest + other if _measure(rest) > 0 else data
    return data


def _dropped(data: bytes) -> bytes:
    for suffix, _ in _RULES_4:
        if _has(data, suffix):
            rest = data[: -len(suffix)]
            may = suffix != b"ion" or rest.endswith((b"s", b"t"))
            return rest if may and _measure(rest) > 1 else data
    return data


def _vowels(data: bytes) -> list[bool]:
    """Which letters are vowels: "y" is one after a consonant."""
    found: list[bool] = []
    for place, letter in enumerate(data):
        found.append(letter in b"aeiou" or (letter == 0x79 and place > 0 and not found[-1]))
    return found


def _has_vowel(data: bytes) -> bool:
    return any(_vowels(data))


def _measure(data: bytes) -> int:
    """How often a consonant follows a vowel."""
    vowels = _vowels(data)
    return sum(before and not after for before, after in pairwise(vowels))


def _ends_short(data: bytes) -> bool:
    """Whether it ends with a consonant, a vowel and a consonant other than w, x and y."""
    return len(data) > 2 and _vowels(data)[-3:] == [False, True, False] and data[-1:] not in (b"w", b"x", b"y")
