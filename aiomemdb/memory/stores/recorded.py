"""What a memory has recorded of the normalisers that made its keys, on every engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...errors import NormaliserChanged
from ..names import with_defaults
from .carried import MARK

__all__ = ["recorded_of"]


def recorded_of(meta: Mapping[str, str], normalisers: Mapping[str, str], given: Iterable[str]) -> dict[str, str]:
    """What is recorded of these.

    Args:
        meta: what the memory has recorded of itself.
        normalisers: what each is for, and its name.
        given: for what it must have the same.

    Raises: NormaliserChanged; ValueError: it is not whole.
    """
    if MARK in meta:
        raise ValueError(
            "a move into it was cut short, so a part of the memory is missing: `aiomemdb move SOURCE TARGET` goes on"
        )
    stored = with_defaults(meta)
    for use in given:
        if stored.get(use, normalisers[use]) != normalisers[use]:
            raise NormaliserChanged(
                f"the file's {use} is {stored[use]!r}, not {normalisers[use]!r}: open it with the one that made its "
                "keys, or give none, and the file's own is used"
            )
    return {use: stored[use] for use in normalisers if use in stored}
