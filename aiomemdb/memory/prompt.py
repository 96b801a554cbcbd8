"""What fits into a prompt. Pure functions of texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from unicodedata import east_asian_width

__all__ = ["EXCERPT", "cut", "estimate_tokens", "excerpt", "one_line", "pack"]

#: Characters of a long text that stand for it where there is no room for all of it: some hundred tokens.
EXCERPT = 400
_WORD = re.compile(r"\w{2,}")


def estimate_tokens(text: str) -> int:
    """How many tokens a text has, about: four characters of ASCII are one, each other character is one by itself."""
    ascii = len(text) if text.isascii() else len(text.encode("ascii", "ignore"))
    return -(-ascii // 4) + len(text) - ascii


def one_line(text: str) -> str:
    """The text as one line, so that it can't look like a further line of the prompt."""
    return " ".join(text.split())


def excerpt(text: str, question: str = "") -> str:
    """The part of a text that has the most words of a question, the rarest first; without any, its beginning. It begins
    and ends with a whole word.
    """
    if len(text) <= EXCERPT:
        return text
    start = _densest(text, question)
    end = start + EXCERPT
    part = text[start:end]
    if start:
        part = "… " + part.split(" ", 1)[-1]
    return part if end >= len(text) else part.rsplit(" ", 1)[0] + " …"


def _densest(text: str, question: str) -> int:
    """Where an excerpt of it begins."""
    lowered = text.lower()
    if len(lowered) != len(text):  # places in it are none of the text
        lowered = text
    places: list[tuple[int, str, float]] = []
    for word in dict.fromkeys(_WORD.findall(question.lower())):
        found = [match.start() for match in re.finditer(rf"\b{re.escape(word)}", lowered)]
        places += [(place, word, 1 / len(found)) for place in found]
    places.sort()
    best, start = 0.0, 0
    for first, _, _ in places:
        begin = 0 if first < EXCERPT // 2 else first - EXCERPT // 8
        inside = {word: weight for place, word, weight in places if begin <= place < begin + EXCERPT * 7 // 8}
        if sum(inside.values()) > best:
            best, start = sum(inside.values()), begin
    return min(start, len(text) - EXCERPT)


def cut(text: str, columns: int) -> str:
    """What of a text fits into so many columns of a terminal, in which wide characters take two."""
    widths = [2 if east_asian_width(char) in "WF" else 1 for char in text[: columns + 1]]
    if sum(widths) <= columns:
        return text
    while sum(widths) >= columns:
        widths.pop()
    return text[: len(widths)].rstrip() + "…"


def pack(entries: Sequence[Sequence[str]], budget: int, count: Callable[[str], int]) -> list[tuple[int, str]]:
    """Chooses what fits a budget, best first: of each entry the first of its versions that has room.

    An entry that has none is left out, and a shorter one that comes later still gets in.

    Args:
        entries: the versions of each, the longest first.
        budget: in tokens, as ``count`` counts them; the end of a line is one.

    Returns: (place of the entry, its line).
    """
    chosen = []
    for place, versions in enumerate(entries):
        for line in versions:
            cost = count(line) + 1
            if cost <= budget:
                budget -= cost
                chosen.append((place, line))
                break
    return chosen
