"""Parts of texts without regard to case: what has them for certain, and what may. Pure functions."""

from __future__ import annotations

import json
import re
import unicodedata

from .values import Scalar

__all__ = ["lowered", "rare_character", "shown", "sure_run", "takes_in"]

# A store may look for such a run: in JSON none of these is written in another way, and no pattern language of SQL has a
# meaning for what is left.
_RUNS = re.compile(r"[ !#$&-\[\]^`-~]+")
# The only characters outside of ASCII with a small letter that begins with one of ASCII:
# https://www.unicode.org/Public/16.0.0/ucd/SpecialCasing.txt, and the Kelvin sign of UnicodeData.txt.
_INTO_ASCII = {"i": "\u0130", "k": "\u212a"}
_LONGEST = 1000


def lowered(text: str) -> str:
    """In small letters, as JavaScript's ``toLowerCase`` has them."""
    return text.lower()


def takes_in(text: str, part: str) -> bool:
    """Whether a text has a part, which is in small letters."""
    return part in lowered(text)


def shown(value: Scalar) -> str:
    """A value as a text."""
    return value if isinstance(value, str) else json.dumps(value)


def sure_run(part: str) -> tuple[str, tuple[str, ...]] | None:
    """(the longest run of ASCII, characters): what takes in the part has the run, in letters of any case, or one of the
    characters. None: there is no run.
    """
    longest = max(_RUNS.findall(part), key=len, default="")[:_LONGEST]
    if not longest:
        return None
    return longest, tuple(other for letter, other in _INTO_ASCII.items() if letter in longest)


def rare_character(part: str) -> str | None:
    """A character that all have that take in the part: one without case. None: there is none."""
    return next((char for char in part if unicodedata.category(char) == "Lo"), None)
