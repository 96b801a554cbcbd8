"""The fields of a line that was read, each checked: an error names the line and the field."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ..errors import FormatError

__all__ = ["Fields"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND, _MINUTE = timedelta(microseconds=1), timedelta(minutes=1)
_FIRST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LONGEST_NAME = 1000


class Fields:
    """One JSON object of a file.

    Raises, from each method: FormatError: the field is not there, or not what it should be.
    """

    __slots__ = ("number", "row")

    def __init__(self, row: Mapping[str, Any], number: int) -> None:
        self.row: Mapping[str, Any] = row
        self.number: int = number

    def error(self, message: str) -> FormatError:
        return FormatError(message, line=self.number)

    def _wrong(self, name: str, wanted: str) -> FormatError:
        if name not in self.row:
            return self.error(f'"{name}" is missing: it should be {wanted}')
        return self.error(f'"{name}" should be {wanted}, not {json.dumps(self.row[name])[:40]}')

    # Texts

    def text(self, name: str) -> str:
        value = self.row.get(name)
        if not isinstance(value, str):
            raise self._wrong(name, "a text")
        return self._checked(name, value)

    def _checked(self, name: str, value: str) -> str:
        if not value.isascii() or "\0" in value:
            try:
                value.encode()
            except UnicodeEncodeError:
                raise self.error(f'"{name}" holds a lone surrogate: it is no text') from None
            if "\0" in value:
                raise self.error(f'"{name}" holds a NUL character')
        return value

    def optional_text(self, name: str) -> str | None:
        return None if self.row.get(name) is None else self.text(name)

    def name(self, name: str) -> str:
        """A text of 1 to 1,000 characters."""
        value = self.text(name)
        if not 0 < len(value) <= _LONGEST_NAME:
            raise self.error(f'"{name}" has {len(value):,} characters: from 1 to {_LONGEST_NAME:,}')
        return value

    def optional_name(self, name: str) -> str | None:
        return None if self.row.get(name) is None else self.name(name)

    def names(self, name: str) -> list[str]:
        values = self._list(name)
        return [Fields({name: value}, self.number).name(name) for value in values]

    def aliases(self, name: str) -> list[tuple[str, str]]:
        found = []
        for value in self._list(name):
            if (
                not isinstance(value, list)
                or not 1 <= len(value) <= 2
                or not all(isinstance(one, str) for one in value)
            ):
                raise self._wrong(name, 'a list of ["key"] or ["key","type"]')
            key, type = [*value, ""][:2]
            if not key:
                raise self.error(f'"{name}" holds an empty name')
            found.append((self._checked(name, key), self._checked(name, type)))
        return found

    # Numbers

    def _int(self, name: str, wanted: str) -> int:
        value = self.row.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
            raise self._wrong(name, wanted)
        return value

    def optional_int(self, name: str) -> int | None:
        return None if self.row.get(name) is None else self._int(name, "a whole number")

    def count(self, name: str) -> int:
        value = self._int(name, "a number from 1 on")
        if value < 1:
            raise self._wrong(name, "a number from 1 on")
        return value

    def ref(self, name: str, upto: int) -> int:
        return self._ref(name, self.row.get(name), upto)

    def _ref(self, name: str, value: object, upto: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= upto:
            raise self._wrong(name, f"a number of a line before this one, from 1 to {upto}")
        return value

    def optional_ref(self, name: str, upto: int) -> int | None:
        return None if self.row.get(name) is None else self.ref(name, upto)

    def refs(self, name: str, upto: int) -> list[int]:
        return [self._ref(name, value, upto) for value in self._list(name)]

    def near(self, name: str, upto: int) -> list[tuple[int, float]]:
        found = []
        for value in self._list(name):
            if not isinstance(value, list) or len(value) != 2 or not _is_number(value[1]):
                raise self._wrong(name, "a list of [number, cosine]")
            found.append((self._ref(name, value[0], upto), float(value[1])))
        return found

    def confidence(self, name: str) -> float:
        value = self.row.get(name, 1.0)
        if not _is_number(value) or not 0 <= value <= 1:
            raise self._wrong(name, "a number from 0 to 1")
        return float(value)

    def counts(self, name: str) -> dict[str, int]:
        counts = self.mapping(name)
        if not all(isinstance(count, int) for count in counts.values()):
            raise self._wrong(name, "numbers by name")
        return counts

    def flag(self, name: str, *, usual: bool = True) -> bool:
        value = self.row.get(name, usual)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    # Times

    def time(self, name: str) -> int:
        micros, _ = self.moment(name)
        if micros is None:
            raise self._wrong(name, "a time")
        return micros

    def optional_time(self, name: str) -> int | None:
        return self.moment(name)[0]

    def known(self, name: str, usual: int) -> int:
        return usual if self.row.get(name) is None else self.time(name)

    def moment(self, name: str) -> tuple[int | None, int | None]:
        """Microseconds, and the offset from UTC in minutes; None: none."""
        value = self.row.get(name)
        if value is None:
            return None, None
        try:
            when = datetime.fromisoformat(value)
            offset = when.utcoffset()
            if offset is None:
                raise self.error(f'"{name}" has no time zone: {value[:40]}')
            micros = (when - _EPOCH) // _MICROSECOND
        except (TypeError, ValueError, OverflowError) as error:
            if isinstance(error, FormatError):
                raise
            raise self._wrong(name, 'a time such as "2026-03-01T12:00:00+00:00"') from None
        if micros < _FIRST:
            raise self._wrong(name, "a time from the year 1 on, in UTC")
        return micros, int(offset / _MINUTE) or None

    # The rest

    def _list(self, name: str) -> list[Any]:
        value = self.row.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._wrong(name, "a list")
        return value

    def objects(self, name: str) -> list[Fields]:
        values = self._list(name)
        if not all(isinstance(value, dict) for value in values):
            raise self._wrong(name, "a list of objects")
        return [Fields(value, self.number) for value in values]

    def mapping(self, name: str) -> dict[str, Any]:
        value = self.row.get(name)
        if not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return value

    def json(self, name: str) -> str:
        """An object as JSON, "{}" where there is none."""
        if self.row.get(name) is None:
            return "{}"
        return self._checked(name, json.dumps(self.mapping(name), ensure_ascii=False))

    def scalar(self, name: str) -> str:
        """A literal as JSON, as the memory writes it down: 1.0 is 1."""
        value = self.row[name]
        if isinstance(value, float) and not math.isfinite(value):
            raise self._wrong(name, "a finite number")
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            value = int(value)
        if not isinstance(value, str | int | float):
            raise self._wrong(name, "a text, a number, true or false")
        return self._checked(name, json.dumps(value, ensure_ascii=False))

    def vector(self) -> bytes | None:
        value = self.optional_text("vector")
        if value is None:
            return None
        try:
            data = base64.b64decode(value, validate=True)
        except binascii.Error:
            raise self._wrong("vector", "base64") from None
        if len(data) % 4:
            raise self._wrong("vector", "numbers of four bytes each")
        return data


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
