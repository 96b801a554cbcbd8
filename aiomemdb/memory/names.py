"""Names: what makes two of them one, what makes two of them near, and which of them can be stored. Pure functions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..errors import NormaliserChanged

__all__ = [
    "EXACT",
    "FOLDED",
    "FOLDED_PREDICATE",
    "IGNORABLE",
    "MAX_NAME",
    "NORMALISERS",
    "Normaliser",
    "Normalisers",
    "as_recorded",
    "checked_key",
    "checked_name",
    "checked_text",
    "chosen",
    "fold",
    "is_blank",
    "key_of",
    "keyed",
    "keys_of",
    "may_be_one",
    "with_defaults",
]

#: The longest name, type, predicate, key or session, in characters: longer ones are texts that went astray.
MAX_NAME = 1000

# A single word shorter than this is never merged by likeness: one letter makes another word of it. Embedders that
# cut words in pieces put "Queue" and "LifoQueue" at a cosine of 0.89.
_SHORT_WORD = 6
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Normaliser:
    """Maps all ways to write a name to one key.

    The file remembers ``name``: opening it with another one is an error, since its keys were made by the first.
    So give a changed function a new name.
    """

    name: str
    function: Callable[[str], str]
    exact: bool = False
    """Whether a name is kept as it was written, with all its spaces; then values are compared as they were given too.
    Otherwise each run of spaces in a name is one."""

    def __call__(self, text: str) -> str:
        return self.function(text)


#: Default_Ignorable_Code_Point of https://www.unicode.org/Public/16.0.0/ucd/DerivedCoreProperties.txt: what by itself
# shows nothing. Zero-width spaces and joiners, direction marks, soft hyphens, variation selectors.
IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
# Other ways to type an apostrophe and a hyphen in a name, of those that
# https://www.unicode.org/Public/security/16.0.0/confusables.txt takes for the one, and that have the property Dash in
# https://www.unicode.org/Public/16.0.0/ucd/PropList.txt. NFKC adds their wide and small forms.
_ALIKE = str.maketrans(
    dict.fromkeys("\u00b4\u02b9\u02bb\u02bc\u02bd\u055a\u05f3\u2018\u2019\u201b\u2032\u2035", "'")
    | dict.fromkeys("\u058a\u05be\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58", "-")
)


def keys_of(names: Iterable[str], normalise: Normaliser) -> list[str]:
    """The keys of names, each once, in order; what has none is left out."""
    return [key for key in dict.fromkeys(map(normalise.function, names)) if key]


def fold(text: str) -> str:
    """NFKC, case folded, without what shows nothing, apostrophes and hyphens each one, spaces collapsed:
    "ＡＣＭＥ  Corp" and "acme corp" are one, and so are "O’Brien" and "O'Brien".

    Folding can undo the normal form and the form bring back what folds (https://www.unicode.org/reports/tr15/,
    R5 of chapter 3.13), hence twice.
    """
    if text.isascii():
        return " ".join(text.lower().split())
    normal = unicodedata.normalize
    # Before the form, which takes an acute accent apart; after it, as it makes an apostrophe of "\u0149".
    text = IGNORABLE.sub("", text.translate(_ALIKE))
    text = normal("NFKC", normal("NFKC", text).casefold()).casefold().translate(_ALIKE)
    return " ".join(text.split())


FOLDED = Normaliser("nfkc-casefold-2", fold)
FOLDED_PREDICATE = Normaliser("nfkc-casefold-2", fold)
EXACT = Normaliser("exact", str, exact=True)

#: By the names that callers choose them by.
NORMALISERS: dict[str, Normaliser] = {"folded": FOLDED, "exact": EXACT}

# What a file records of its normalisers: for what, and the name of the one.
_NAMES, _PREDICATES, _VALUES = "normaliser", "predicate normaliser", "value normaliser"


@dataclass(frozen=True, slots=True)
class Normalisers:
    """The normalisers of a memory.

    Attributes:
        exact_values: strings are one if they are equal; otherwise if their canonical forms (NFC) are.
    """

    names: Normaliser = FOLDED
    predicates: Normaliser = FOLDED_PREDICATE
    exact_values: bool = False

    def recorded(self) -> dict[str, str]:
        """What a file records of them."""
        values = "exact" if self.exact_values else "nfc"
        return {_NAMES: self.names.name, _PREDICATES: self.predicates.name, _VALUES: values}


def chosen(names: Normaliser | str | None, predicates: Normaliser | None) -> tuple[Normalisers, list[str]]:
    """What a new file gets, and what of it the caller has named: an old one must have recorded that.

    Raises: ValueError, TypeError: there is none of that name.
    """
    one = NORMALISERS.get(names) if isinstance(names, str) else FOLDED if names is None else names
    if one is None:
        raise ValueError(f"normaliser={names!r}: {' or '.join(map(repr, NORMALISERS))}, or a Normaliser")
    for what, each in (("normaliser", one), ("predicate_normaliser", predicates)):
        if each is not None and not isinstance(each, Normaliser):
            raise TypeError(f"{what}={each!r}: a Normaliser")
    given = [use for use, each in ((_NAMES, names), (_PREDICATES, predicates)) if each is not None]
    return Normalisers(one, predicates or (EXACT if one.exact else FOLDED_PREDICATE), one.exact), given


def as_recorded(wanted: Normalisers, recorded: Mapping[str, str]) -> Normalisers:
    """Those that a file has recorded. Raises: NormaliserChanged: a private one, which the caller has not given."""
    found: dict[str, Normaliser] = {}
    known = {one.name: one for one in (*NORMALISERS.values(), FOLDED_PREDICATE)}
    uses = ((_NAMES, "normaliser", wanted.names), (_PREDICATES, "predicate_normaliser", wanted.predicates))
    for use, parameter, one in uses:
        name = recorded[use]
        if name != one.name and name not in known:
            raise NormaliserChanged(
                f"the file's {use} is {name!r}, a private one: give it to Memory.open({parameter}=...), as the program "
                "does that made the file"
            )
        found[use] = one if name == one.name else known[name]
    return Normalisers(found[_NAMES], found[_PREDICATES], recorded[_VALUES] == "exact")


def with_defaults(recorded: Mapping[str, str]) -> dict[str, str]:
    """What a file has recorded; one that has recorded nothing of values compares their canonical forms."""
    return {_VALUES: "nfc", **recorded} if _NAMES in recorded else {**recorded}


def is_blank(text: str) -> bool:
    """Whether it shows nothing."""
    return not (text if text.isascii() else IGNORABLE.sub("", text)).strip()


def checked_text(what: str, text: str) -> str:
    """The text, if a file can hold it and every word search finds it.

    Raises: TypeError: no str; ValueError: a NUL character, at which databases cut a text short, or a lone surrogate.
    """
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str, not {type(text).__name__}")
    if "\0" in text:
        raise ValueError(f"{what} holds a NUL character")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{what} holds a lone surrogate, {text[error.start]!r}: it is no text") from None
    return text


def checked_name(what: str, name: str, *, exact: bool = False) -> str:
    """The name with its spaces collapsed, or ``exact`` as it is.

    Raises: as ``checked_text``; ValueError also where nothing of it shows, or it is longer than ``MAX_NAME``.
    """
    if not isinstance(name, str):
        raise TypeError(f"{what} must be a str, not {type(name).__name__}")
    if len(name) > MAX_NAME:
        raise ValueError(f"{what} has {len(name):,} characters; at most {MAX_NAME:,} make a name")
    checked_text(what, name)
    if not exact:
        name = " ".join(name.split())
    if is_blank(name):
        raise ValueError(f"{what} is empty")
    return name


def keyed(what: str, name: str, normalise: Normaliser) -> tuple[str, str]:
    """The name as it is shown, and its key. Raises: as ``checked_name`` and ``key_of``."""
    shown = checked_name(what, name, exact=normalise.exact)
    return shown, key_of(what, shown, normalise)


def key_of(what: str, name: str, normalise: Normaliser) -> str:
    """The name, normalised. Raises: ValueError: the normaliser leaves nothing of it."""
    key = normalise.function(name)
    if not isinstance(key, str) or not key:
        raise ValueError(f"{what}={name!r}: nothing is left of it by the normaliser {normalise.name!r}")
    return key if key is name else checked_text(what, key)


def checked_key(what: str, key: str) -> str:
    """The key of a text, a session or a namespace, exactly as it is. Raises: as ``checked_name``."""
    if checked_text(what, key) and len(key) <= MAX_NAME:
        return key
    raise ValueError(f"{what} has {len(key):,} characters: from 1 to {MAX_NAME:,}")


def may_be_one(key: str, other: str) -> bool:
    """Whether likeness alone may make two normalised names one: no short single word, and the same numbers in both
    ("Apollo 11" and "Apollo 13" are near for every embedder).
    """
    for one in (key, other):
        if len(one) < _SHORT_WORD and " " not in one:
            return False
    return _DIGITS.findall(key) == _DIGITS.findall(other)
