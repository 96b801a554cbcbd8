"""What an adapter checks at the call, and the caller hears what is wrong before anything is written."""

from __future__ import annotations

__all__ = ["checked_count", "checked_key", "checked_limit", "checked_text"]

_MOST = 2**62  # the sum of two is a whole number of SQLite's


def checked_text(name: str, value: object) -> str:
    """Return ``str(value)``, which becomes part of a key.

    Raises: ValueError: it is None, or can't be kept as it is; the message names it.
    """
    if value is None:
        raise ValueError(f"{name} is missing: None")
    text = str(value)
    if text.isascii():
        if "\0" not in text:
            return text
    else:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{name} {text!r}: it holds half of a surrogate pair, which is no text") from None
        if "\0" not in text:
            return text
    raise ValueError(f"{name} {text!r}: it holds a NUL character")


def checked_count(name: str, value: object) -> int:
    """Return ``value``. Raises: TypeError, ValueError: it is no number of rows; the message names it."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name}={value!r}: a whole number")
    if not 0 <= value < _MOST:
        raise ValueError(f"{name}={value}: {'0 or more' if value < 0 else 'below 2**62'}")
    return value


def checked_key(name: str, value: object, *, may_be_empty: bool = False) -> str:
    """Return ``value``. Raises: TypeError, ValueError: it is no text that can be a key; the message names it."""
    if not isinstance(value, str):
        raise TypeError(f"{name}={value!r}: a string")
    if not value and not may_be_empty:
        raise ValueError(f"{name} is empty")
    return checked_text(name, value)


def checked_limit(name: str, value: object) -> int | None:
    """Return ``value``. Raises: TypeError, ValueError: it is neither None nor a number of rows; it is named."""
    if value is None:
        return None
    return checked_count(name, value)
