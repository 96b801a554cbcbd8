"""Names as SQLite compares them."""

from __future__ import annotations

from string import ascii_lowercase, ascii_uppercase

__all__ = ["folded"]

_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


def folded(name: str) -> str:
    """In lower case, of ASCII letters alone: of two tables called K, one by the Kelvin sign, ``lower()`` makes one."""
    return name.translate(_LOWER)
