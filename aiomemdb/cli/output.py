"""What a verb prints: tables for a terminal, tabs for a pipe, JSON for a program; on standard output data alone."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

__all__ = ["Output"]


class Output:
    """Where one verb prints.

    Args:
        as_json: print JSON.
    """

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self._console = Console(soft_wrap=True)
        self._notes = Console(stderr=True, soft_wrap=True)

    def document(self, values: Mapping[str, Any]) -> None:
        """One answer: a JSON object, or a line for each of its values."""
        if self.as_json:
            self._line(json.dumps(plain(values), ensure_ascii=False))
            return
        width = max(map(len, values), default=0)
        for name, value in values.items():
            self._line(f"{name:<{width}}  {_cell(value)}" if self._console.is_terminal else f"{name}\t{_cell(value)}")

    def rows(self, columns: Sequence[str], items: Sequence[Mapping[str, Any]]) -> None:
        """A listing: JSON Lines with all that an item has, or a table of these columns."""
        if self.as_json:
            for item in items:
                self._line(json.dumps(plain(item), ensure_ascii=False))
        elif self._console.is_terminal:
            table = Table(*columns, box=None, pad_edge=False, header_style="bold")
            for item in items:
                table.add_row(*(Text(_cell(item.get(column))) for column in columns))
            self._console.print(table)
        else:
            for item in items:
                self._line("\t".join(_cell(item.get(column)) for column in columns))

    def line(self, *cells: object) -> None:
        """One line of a listing that has no end: its cells, with tabs between them."""
        self._line("\t".join(map(_cell, cells)))

    def text(self, text: str) -> None:
        """Text for people, as it is."""
        self._line(text)

    def note(self, text: str) -> None:
        """A remark beside the data, on standard error."""
        self._notes.print(Text(text))

    def error(self, error: BaseException, message: str) -> None:
        """What went wrong, on standard error; as JSON with ``applied``, which says whether a write took effect."""
        if self.as_json:
            told = {"error": type(error).__name__, "message": message, "applied": getattr(error, "applied", False)}
            print(json.dumps(told, ensure_ascii=False), file=sys.stderr)
        else:
            self._notes.print(Text(message, style="red"))

    def progress(self, what: str) -> Progress:
        """A bar on standard error, on a terminal alone."""
        columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        return Progress(*columns, console=self._notes, transient=True, disable=not self._notes.is_terminal)

    def _line(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")


def plain(value: object) -> Any:
    """A value as JSON has it: times as ISO text, bytes as hexadecimal digits."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def _cell(value: object) -> str:
    """A value on one line."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, dict | list | tuple):
        return json.dumps(plain(value), ensure_ascii=False)
    return " ".join(str(value).split())
