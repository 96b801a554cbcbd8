"""Written dates in one form: "1 February 2024", "Feb 1st, 2024" and "2024-02-01" are the same. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

__all__ = ["Day", "written"]

# A token that no text has: a character for private use.
_TOKEN = "\uf8f1"
_MONTHS = [
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
]
_NUMBER = {name[:length]: n for n, name in enumerate(_MONTHS, start=1) for length in (3, len(name))} | {"sept": 9}
_MONTH = rf"(?P<month>{'|'.join(sorted(_NUMBER, key=len, reverse=True))})\b\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>\d{4})"
_FORMS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?<![\w.])(?P<year>\d{4})(?P<sep>[-/.])(?P<month>\d{1,2})(?P=sep)(?P<day>\d{1,2})(?!\d|[-/.]\d)",
        r"(?P<year>\d{4})\s*[年년]\s*(?P<month>\d{1,2})\s*[月월](?:\s*(?P<day>\d{1,2})\s*[日일号])?",
        r"(?<!\d)(?P<month>\d{1,2})\s*[月월]\s*(?P<day>\d{1,2})\s*[日일号]",
        r"(?<![\w.])(?P<day>\d{1,2})(?P<sep>[-/.])(?P<month>\d{1,2})(?P=sep)(?P<year>\d{4}|\d{2})(?!\d|[-/.]\d)",
        rf"\b{_DAY}\s+(?:of\s+)?{_MONTH},?(?:\s+{_YEAR}\b)?",
        rf"\b{_MONTH}\s+{_DAY}\b(?!:)(?:,?\s+{_YEAR}\b)?",
        rf"\b{_MONTH},?\s+(?:of\s+)?{_YEAR}\b",
    )
]
# Each date has a digit, and what makes it one stands near.
_DIGITS = re.compile(r"\d+")
_NEAR = 20
_PARTED = re.compile(r"\d\s?[-/.年년月월]")
_ENDS = "|".join(name[1:3] for name in _MONTHS)  # with its set of first letters thirty times as fast as the names
_NAMED = re.compile(f"[jfmasondJFMASOND](?:{_ENDS}|{_ENDS.upper()})")
# Of what ``_PARTED`` and ``_NAMED`` find there is one of these.
_PARTS = (*(name[:3] for name in _MONTHS), *"-/.年년月월")


@dataclass(frozen=True, slots=True)
class Day:
    """A day, of a year or of any, or a month of a year.

    Attributes:
        either: it is written so that day and month may be the other way round.
    """

    year: int | None
    month: int
    day: int | None
    either: bool = False

    @classmethod
    def of(cls, day: date) -> Day:
        return cls(day.year, day.month, day.day)

    def _ways(self) -> list[tuple[int, int | None]]:
        ways: list[tuple[int, int | None]] = [(self.month, self.day)]
        return [*ways, (self.day, self.month)] if self.either and self.day is not None else ways

    def stored(self) -> Iterator[str]:
        """The tokens of a text with this date."""
        for month, day in self._ways():
            if day is not None:
                yield f"{_TOKEN}{month:02}{day:02}"
                yield f"{_TOKEN}{self.year or 'y'}{month:02}{day:02}"
            if self.year is not None:
                yield f"{_TOKEN}{self.year}{month:02}"

    def asked(self) -> tuple[str, ...]:
        """Any of these tokens is meant: the day itself, in whatever year where none is given; of a day with its year
        also what is written without one.
        """
        found: list[str] = []
        for month, day in self._ways():
            if day is None:
                found.append(f"{_TOKEN}{self.year}{month:02}")
            elif self.year is None:
                found.append(f"{_TOKEN}{month:02}{day:02}")
            else:
                found += [f"{_TOKEN}{self.year}{month:02}{day:02}", f"{_TOKEN}y{month:02}{day:02}"]
        return tuple(found)


def written(text: str) -> list[tuple[tuple[int, int], Day]]:
    """The dates in a text, and where each stands, in order."""
    found: list[tuple[tuple[int, int], Day]] = []
    if not _may_have(text):
        return found
    for start, end in _windows(text):
        names = (match[0].lower() in _NUMBER for match in _NAMED.finditer(text, start, end))
        if not (_PARTED.search(text, start, end) or any(names)):
            continue
        for form in _FORMS:
            for match in form.finditer(text, start, end):
                day = _day(match)
                if day is not None and not any(
                    one < match.end() and match.start() < other for (one, other), _ in found
                ):
                    found.append((match.span(), day))
    return sorted(found, key=lambda each: each[0])


def _may_have(text: str) -> bool:
    """False of most texts without a date, by what is found far faster than a pattern."""
    return _DIGITS.search(text) is not None and any(map(text.lower().__contains__, _PARTS))


def _windows(text: str) -> Iterator[tuple[int, int]]:
    """The parts of a text in which dates may be."""
    start = end = -1
    for digits in _DIGITS.finditer(text):
        if digits.start() - _NEAR > end:
            if end >= 0:
                yield start, end
            start = max(0, digits.start() - _NEAR)
        end = digits.end() + _NEAR
    if end >= 0:
        yield start, end


def _day(match: re.Match[str]) -> Day | None:
    parts = match.groupdict()
    year, month, day = parts.get("year"), parts["month"].lower(), parts.get("day")
    number = int(month) if month.isdigit() else _NUMBER[month]
    full = None if year is None else int(year)
    if full is not None and full < 100:
        full += 2000 if full < 70 else 1900
    either = False
    if (
        parts.get("sep") in ("-", "/") and day is not None and match.start("day") == match.start()
    ):  # by day or by month first, as the country has it
        other = int(day)
        if number > 12 >= other:
            number, day = other, month
        either = number <= 12 and other <= 12 and number != other
    try:
        date(full if full else 2000, number, 1 if day is None else int(day))
    except ValueError:
        return None
    return Day(full, number, None if day is None else int(day), either)
