"""Where entities stand in the page: kept, so that it looks the same tomorrow and in another browser."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["MOST_BYTES", "Positions"]

#: What a page sends at once, at most.
MOST_BYTES = 4_000_000
_MOST = 50_000
_FAR = 10_000_000


class Positions:
    """Positions by entity. Those that were taken first go first where there are too many.

    Args:
        file: where they are kept, made with its folder; None: they are kept as long as the server runs.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._kept: dict[int, list[int]] | None = None
        self._turn = asyncio.Lock()

    async def read(self) -> bytes:
        """Lists of an entity's id, x, y and when it was made, as JSON."""
        async with self._turn:
            return json.dumps(list((await self._known()).values()), separators=(",", ":")).encode()

    async def take(self, sent: bytes) -> None:
        """Keep what a page sent: such lists as JSON. A file that can't be written is left as it is.

        Raises: ValueError: it is something else.
        """
        try:
            rows = json.loads(sent)
        except RecursionError:
            rows = None
        if not isinstance(rows, list) or not all(map(_is_position, rows)):
            raise ValueError("positions are lists of four whole numbers: id, x, y and a time")
        async with self._turn:
            kept = await self._known()
            for row in rows:
                kept.pop(row[0], None)
                kept[row[0]] = row
            for id in list(kept)[: max(0, len(kept) - _MOST)]:
                del kept[id]
            if self._file is not None:
                with suppress(OSError):
                    await asyncio.to_thread(_write, self._file, json.dumps(list(kept.values()), separators=(",", ":")))

    async def _known(self) -> dict[int, list[int]]:
        if self._kept is None:
            rows = await asyncio.to_thread(_read, self._file) if self._file is not None else []
            self._kept = {row[0]: row for row in rows}
        return self._kept


def _is_position(row: Any) -> bool:
    return (
        isinstance(row, list)
        and len(row) == 4
        and all(type(each) is int for each in row)
        and max(abs(row[1]), abs(row[2])) <= _FAR
    )


def _read(file: Path) -> list[list[int]]:
    """What is there; what is no list of positions is no list."""
    try:
        rows = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return []
    return [row for row in rows if _is_position(row)] if isinstance(rows, list) else []


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
            opened.write(text)
        os.replace(beside, file)
    finally:
        beside.unlink(missing_ok=True)
