"""What fits into a prompt. Pure functions of texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["EXCERPT", "estimate_tokens", "excerpt", "one_line", "pack"]

#: Characters of a long text that stand for it where there is no room for all of it: some hundred tokens.
EXCERPT = 400


def estimate_tokens(text: str) -> int:
    """How many tokens a text has, about: four characters of ASCII are one, each other character is one by itself."""
    ascii = sum(map(str.isascii, text))
    return -(-ascii // 4) + len(text) - ascii


def one_line(text: str) -> str:
    """The text as one line, so that it can't look like a further line of the prompt."""
    return " ".join(text.split())


def excerpt(text: str) -> str:
    """Its beginning, to the last whole word."""
    if len(text) <= EXCERPT:
        return text
    return text[:EXCERPT].rsplit(" ", 1)[0] + " …"


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
