"""Words: one form for what is stored and what is asked, and which words of a question are looked for. Pure functions.

What a word index takes for a word is a run of letters and digits. The form folds case, width, ligatures and accents,
and drops what shows nothing. Scripts that part no words (Han, kana, Hangul, Thai, Lao, Khmer, Burmese) become pairs of
characters: by three, no word of two would be found.

Characters for private use mark what is no word of a text: dates in one form, and what belongs to a store alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from . import dates
from .names import IGNORABLE, Normaliser, keys_of

__all__ = [
    "MARK",
    "RARE",
    "Asked",
    "asked",
    "choose",
    "counted",
    "form",
    "indexed",
    "is_begin",
    "keys_in",
    "passing",
    "runs",
    "shares",
]

#: Begins the tokens of a store: no text that is stored or asked for has it, once it is in its form.
MARK = "\uf8f0"
# Private use: what a text has of it is dropped, so that it can't look like a token of ours.
_PRIVATE = re.compile("[\ue000-\uf8ff]+")
# Marks that stand on letters of Latin, Greek and Cyrillic; Hebrew points, Arabic vowels and its filling stroke.
_ACCENTS = re.compile(
    "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed]+"
)
# Letters with a stroke and joined ones, which Unicode does not take apart.
_LETTERS = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ŋ": "n"}
)
# Runs of scripts that part no words: https://www.unicode.org/Public/16.0.0/ucd/Scripts.txt.
_UNPARTED = re.compile(
    "[\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u3105-\u312f\u3131-\u318e\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97c\uac00-\ud7fb"
    "\uf900-\ufaff\u1100-\u11ff\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u0edc-\u0edf\u1000-\u109f\u1780-\u17d3"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff]+"
)
# Marks that stand on letters, and what stands for them in pairs.
_OF_WORDS = ("Mn", "Mc", "Me", "Co")
_DIGIT = re.compile(r"\d")
_POSSESSIVE = re.compile(r"['’]s$", re.IGNORECASE)

# English words that are in most texts. In a file of some hundred texts counts say little.
_COMMON = (
    "a about after am an and are as at be been before being between but by can could did do does down during for from "
    "had has have he her here him his how i if in into is it its may me might must my no not of off on or our out over "
    "shall she should so such than that the their them then there these they this those to up us was we were what when "
    "where which who whom whose why will with would you your"
)
STOP = frozenset(_COMMON.split())
# Words of the longest name that is looked for in a question, and characters where none are parted.
_LONGEST_NAME = 6
_LONGEST_UNPARTED = 10
# Punctuation that may begin or end a name.
_OF_NAMES = "#%&*@/\\."
#: Rows in which a common word is at most where it is looked for all the same: people are called Will and May.
RARE = 2
# Words of a question that are looked for, and that are counted at most.
_MOST_WORDS = 64
_COUNTED = 4_000


# Characters beyond ASCII, and what is between those that are near each other.
_BEYOND = re.compile(r"[^\x00-\x7f](?:.{0,40}[^\x00-\x7f])*", re.DOTALL)


def form(text: str) -> str:
    """The text as it is compared. Only the marks of words are kept, not what is shown."""
    if text.isascii():
        return text.lower()
    # No rule reaches over a space; so of a long text in Latin letters the few other words are taken by themselves.
    done, begin = list[str](), 0
    for beyond in _BEYOND.finditer(text):
        start, end = text.rfind(" ", begin, beyond.start()) + 1, text.find(" ", beyond.end())
        start, end = max(start, begin), len(text) if end < 0 else end
        if end > begin:
            done += text[begin:start].lower(), _form(text[start:end])
            begin = end
    return "".join([*done, text[begin:].lower()])


def _form(text: str) -> str:
    normal = unicodedata.normalize
    text = _PRIVATE.sub(" ", IGNORABLE.sub("", text))
    text = normal("NFKC", normal("NFKC", text).casefold()).casefold()
    text = normal("NFC", _ACCENTS.sub("", normal("NFD", text))).translate(_LETTERS)
    return _UNPARTED.sub(_pairs, text)


def _pairs(run: re.Match[str]) -> str:
    """Each two neighbours of a run, and the last one, so that each character begins a word."""
    units: list[str] = []
    for char in run[0]:
        if units and unicodedata.category(char)[0] == "M":
            units[-1] += chr(0xE000 + (ord(char) & 0xFFF))  # an index parts words at marks, but not at these
        else:
            units.append(char)
    pairs = [one + other for one, other in pairwise(units)]
    return f" {' '.join([*pairs, units[-1]])} "


def is_begin(word: str) -> bool:
    """Whether a word of a question is a single character that begins words: the words that it begins are meant."""
    return len(word) == 1 and _UNPARTED.match(word) is not None


def indexed(text: str, *more: str, day: dates.Day | None = None) -> tuple[str | None, str]:
    """What a word index gets of a text.

    Args:
        more: what it is to be found by too, unless it says so itself.
        day: when it happened.

    Returns: its form, None where an index sees the text so by itself; and what is to be found beside that.
    """
    others = [other for other in more if other and other not in text]
    days = [] if day is None else [day]
    for each in (text, *others):
        days += [found for _, found in dates.written(each)]
    if not (others or days) and text.isascii():  # most texts
        return None, ""
    beside = [*map(form, others), *dict.fromkeys(token for each in days for token in each.stored())]
    return None if text.isascii() else form(text), " ".join(beside)


def runs(text: str) -> list[str]:
    """Runs of letters, digits and what stands on them, as a word index sees words: none is query syntax."""
    if text.isascii():
        return "".join(char if char.isalnum() else " " for char in text).split()
    return "".join(char if char.isalnum() or unicodedata.category(char) in _OF_WORDS else " " for char in text).split()


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question asks for in one place.

    Attributes:
        wholes: the word, or its pieces in their order, as a phrase; for a date each of its forms.
        pieces: what is looked for where no whole is found; beside it too, unless it is ``exact``.
        exact: it has digits: a date, a version, an address. Its pieces by themselves are others'.
        common: it says little, unless few rows have it.
    """

    wholes: tuple[str, ...]
    pieces: tuple[str, ...] = ()
    exact: bool = False
    common: bool = False


def asked(question: str) -> list[Asked]:
    """What a question asks for, each once, in order."""
    found: dict[tuple[str, ...], Asked] = {}
    rest, begin = [], 0
    for (start, end), day in dates.written(question) if _DIGIT.search(question) else ():  # each date has a digit
        rest += [question[begin:start], " "]
        # By itself the number of a day or of a month says nothing.
        pieces = tuple(word for word in runs(form(question[start:end])) if len(word) > 2 and word not in STOP)
        found[day.asked()] = Asked(day.asked(), pieces, exact=True)
        begin = end
    shouted = question.isupper()
    for place, token in enumerate("".join([*rest, question[begin:]]).split()):
        name = place > 0 and token[:1].isupper() and not shouted
        for part in form(_POSSESSIVE.sub("", token.strip("'\"’.,;:!?)"))).split():
            pieces = tuple(runs(part))
            if len(pieces) == 1:
                found.setdefault(pieces, Asked(pieces, common=pieces[0] in STOP and not name))
            elif pieces:
                whole = (" ".join(pieces),)
                found.setdefault(whole, Asked(whole, pieces, exact=_DIGIT.search(part) is not None))
    return list(found.values())[:_COUNTED]


def keys_in(question: str, normalise: Normaliser) -> list[str]:
    """The normalised names that a question may hold: its runs of words, as they stand and bare of punctuation, and of
    scripts that part no words its runs of characters.
    """
    words = question.split()[:_COUNTED]
    found: dict[str, None] = {}
    for length in range(min(_LONGEST_NAME, len(words)), 0, -1):
        for start in range(len(words) - length + 1):
            run = " ".join(words[start : start + length])
            bare = _bare(run)
            for name in {run: None, bare: None, bare.strip("."): None, _POSSESSIVE.sub("", bare): None}:
                if name.lower() not in STOP or name[:1].isupper():
                    found[name] = None
    for unparted in _UNPARTED.findall(unicodedata.normalize("NFKC", question[:_COUNTED])):
        for length in range(min(_LONGEST_UNPARTED, len(unparted)), 1, -1):
            for start in range(len(unparted) - length + 1):
                found[unparted[start : start + length]] = None
    return keys_of(found, normalise)


def _bare(name: str) -> str:
    """Without the punctuation around it, in whatever script."""
    start, end = 0, len(name)
    while start < end and _is_around(name[start]):
        start += 1
    while start < end and _is_around(name[end - 1]):
        end -= 1
    return name[start:end]


def _is_around(char: str) -> bool:
    return char in "<>`" or (char not in _OF_NAMES and unicodedata.category(char) in ("Po", "Ps", "Pe", "Pi", "Pf"))


def shares(question: Sequence[Asked], names: Iterable[str]) -> dict[str, float]:
    """Which share of what a question asks for each name takes, by words that say something; at most 1."""
    whole = max(1, _weight(question))
    return {name: min(1.0, _weight(asked(name)) / whole) for name in names}


def _weight(words: Sequence[Asked]) -> int:
    """How many words say something."""
    return sum(not word.common for word in words) or len(words)


def counted(asked: Iterable[Asked]) -> list[str]:
    """The words that a store counts before it chooses."""
    return list(dict.fromkeys(word for each in asked for word in (*each.wholes, *each.pieces)))


def passing(asked: Sequence[Asked]) -> set[str]:
    """The words that need no exact count: it is enough whether they are in more rows than ``RARE``."""
    common = {word for each in asked if each.common for word in each.wholes}
    return common - {word for each in asked if not each.common for word in (*each.wholes, *each.pieces)}


def choose(asked: Sequence[Asked], counts: Mapping[str, int], most: int) -> list[str]:
    """The words to look for: the rarest ones, until the rows in which they are would be too many, and at least one.

    Args:
        counts: in how many readable rows a word is.
        most: rows, at most.
    """
    wanted: dict[str, bool] = {}
    for each in asked:
        wholes = [whole for whole in each.wholes if counts[whole]]
        pieces = () if wholes and each.exact else [piece for piece in each.pieces if counts[piece]]
        for word in (*wholes, *pieces):
            wanted[word] = wanted.get(word, True) and (each.common or (word in STOP and word in each.pieces))
    if not all(wanted.values()):
        wanted = {word: common for word, common in wanted.items() if not common or counts[word] <= RARE}
    chosen: list[str] = []
    ranked = 0
    for word in sorted(wanted, key=lambda word: counts[word])[:_MOST_WORDS]:
        ranked += counts[word]
        if chosen and ranked > most:
            break
        chosen.append(word)
    return chosen
