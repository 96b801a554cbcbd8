"""What an adapter checks at the call, so that a caller is told what is wrong before anything is written."""

from __future__ import annotations

__all__ = ["checked_count", "checked_text"]


def checked_text(name: str, value: object) -> str:
    """Return ``str(value)``, which becomes part of a key.

    Raises: ValueError: it can't be kept as it is; the message names it.
    """
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
    """Return ``value``. Raises: TypeError, ValueError: it is no whole number of at least 0; the message names it."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name}={value!r}: a whole number")
    if value < 0:
        raise ValueError(f"{name}={value}: 0 or more")
    return value
