"""Which row is which, between a memory and a file, in little room."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right

__all__ = ["Ids", "Numbers"]


class Numbers:
    """The numbers that ids get, counted from 1, in the order in which they come; ids only grow."""

    def __init__(self) -> None:
        self._ids = array("q")

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, id: int) -> int:
        self._ids.append(id)
        return len(self._ids)

    def find(self, id: int) -> int | None:
        place = bisect_left(self._ids, id)
        return place + 1 if place < len(self._ids) and self._ids[place] == id else None


class Ids:
    """The ids that numbers have become: one entry for each stretch in which both count on."""

    def __init__(self) -> None:
        self._numbers = array("q")
        self._ids = array("q")
        self._last = (0, 0)
        self._grows = True  # whether ids do, so that they can be looked for by halves

    def add(self, number: int, id: int) -> None:
        """Numbers come in their order."""
        last_number, last_id = self._last
        if not self._numbers or (number, id) != (last_number + 1, last_id + 1):
            self._grows &= id > last_id
            self._numbers.append(number)
            self._ids.append(id)
        self._last = (number, id)

    def find(self, number: int) -> int | None:
        place = bisect_right(self._numbers, number) - 1
        return None if place < 0 else self._ids[place] + number - self._numbers[place]

    def __contains__(self, id: int) -> bool:
        """Whether a number has become it."""
        if self._grows:
            place = bisect_right(self._ids, id) - 1
            return place >= 0 and id - self._ids[place] < self._length(place)
        return any(0 <= id - first < self._length(place) for place, first in enumerate(self._ids))

    def _length(self, place: int) -> int:
        end = self._numbers[place + 1] if place + 1 < len(self._numbers) else self._last[0] + 1
        return end - self._numbers[place]
