"""Where the memory of a server is."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Place", "place"]

_LINES = (".json", ".jsonl")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a memory is.

    Attributes:
        target: a path, or a URL with a scheme.
        imported: a file of the reference server's that belongs into a new memory.
    """

    target: str
    imported: Path | None = None

    @property
    def path(self) -> Path | None:
        """None: it is a URL."""
        return None if "://" in self.target else Path(self.target)


def place(file: str | None, environ: Mapping[str, str]) -> Place:
    """Returns the place that is named: by ``--file``, otherwise by ``AIOMEMDB_URL``, otherwise by
    ``MEMORY_FILE_PATH``. Without any of them it is in the user's data folder.

    Raises: ValueError: ``--file`` or ``AIOMEMDB_URL`` is a file of JSON Lines.
    """
    for source, named in (("--file", file), ("AIOMEMDB_URL", environ.get("AIOMEMDB_URL"))):
        if named:
            if named.endswith(_LINES):
                raise ValueError(f"{source} is {named}: name a database, and import that file by --import {named}")
            return Place(named)
    reference = environ.get("MEMORY_FILE_PATH")
    if reference:
        if reference.endswith(_LINES):
            return Place(f"{reference}.db", Path(reference))
        return Place(reference)
    return Place(str(_data_folder(environ) / "aiomemdb" / "memory.db"))


def _data_folder(environ: Mapping[str, str]) -> Path:
    chosen = environ.get("XDG_DATA_HOME")
    if chosen and Path(chosen).is_absolute():
        return Path(chosen)
    home = Path.home()
    return home / "Library" / "Application Support" if sys.platform == "darwin" else home / ".local" / "share"
