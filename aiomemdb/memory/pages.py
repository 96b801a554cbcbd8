"""Pages of a listing, and the cursors that turn them. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["Page", "Place", "page", "place_of"]

T = TypeVar("T")

#: Where a row stands in the order of its list.
Place = tuple[int, ...]


class Page(list[T]):
    """A list of what a question found, and where the next page begins.

    Attributes:
        next: pass it as ``after=`` to the same call; None: this is the last page. What is written meanwhile neither
            repeats nor hides what was there.
    """

    __slots__ = ("next",)

    def __init__(self, items: Sequence[T] = (), next: str | None = None) -> None:
        super().__init__(items)
        self.next: str | None = next


def page(listing: str, found: Sequence[T], limit: int, place: Callable[[T], Place]) -> Page[T]:
    """The first ``limit`` of what was found, which is one more if there is a next page."""
    if len(found) <= limit:
        return Page(found)
    cursor = json.dumps([listing, *place(found[limit - 1])], separators=(",", ":"))
    return Page(found[:limit], base64.urlsafe_b64encode(cursor.encode()).decode().rstrip("="))


def place_of(listing: str, cursor: str | None, count: int) -> Place | None:
    """The place after which a page begins; None: at the beginning.

    Args:
        count: how many numbers are a place in this listing.

    Raises: TypeError: no str; ValueError: no cursor of this listing.
    """
    if cursor is None:
        return None
    if not isinstance(cursor, str):
        raise TypeError(f"after={cursor!r}: the `next` of a page")
    try:
        of, *place = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error):
        of, place = None, []
    if of != listing or len(place) != count or not all(type(each) is int and abs(each) < 2**63 for each in place):
        raise ValueError(f"after={cursor!r} is not a cursor of this listing: pass the `next` of one of its pages")
    return tuple(place)
