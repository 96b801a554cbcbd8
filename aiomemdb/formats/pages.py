"""A folder of Markdown pages, written: names of files, and which of them were written before.

A list in the folder, ``.aiomemdb.json``, has what was written. So a second run rewrites what is other now, removes what
is no more, and leaves alone what it did not write.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from ..errors import FormatError
from .files import replace_file

__all__ = ["MARK", "Folder", "PageNames"]

_LIST = ".aiomemdb.json"

#: What each page begins with.
MARK = "---\naiomemdb: 1\n"
# What no file name may have on some system, and what ends or begins a link.
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*#^\[\]]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_LONGEST = 120


class PageNames:
    """A name for the page of each entity, the same for the same entities in the same order."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def choose(self, name: str, type: str | None) -> str:
        """The name itself, where a file may have it and no other page has; otherwise with the type, or a number."""
        plain = self._plain(name)
        typed = [] if type is None else [self._plain(f"{plain} ({type})")]
        for candidate in (plain, *typed):
            if self._take(candidate):
                return candidate
        number = 2
        while not self._take(f"{plain} {number}"):
            number += 1
        return f"{plain} {number}"

    def _take(self, name: str) -> bool:
        # File systems differ in case and in normal forms: no two pages differ in those alone.
        key = unicodedata.normalize("NFKC", name).casefold()
        if key in self._taken:
            return False
        self._taken.add(key)
        return True

    @staticmethod
    def _plain(name: str) -> str:
        text = " ".join(_FORBIDDEN.sub(" ", name).split())
        while len(text.encode()) > _LONGEST:
            text = text[:-1]
        text = text.strip(" .")
        return f"{text} page".strip() if not text or _RESERVED.fullmatch(text) else text


class Folder:
    """A folder that pages are written to. All of it blocks.

    Args:
        overwrite: rewrite files that are there and were not written by this, or were changed since.

    Raises: OSError; FormatError: its list is none.
    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool) -> None:
        self._path = Path(path)
        self._overwrite = overwrite
        self._path.mkdir(parents=True, exist_ok=True)
        self._unfinished = False
        self._before = self._listed()
        self._now: dict[str, str] = {}
        self.written: int = 0

    def _listed(self) -> dict[str, str]:
        try:
            text = (self._path / _LIST).read_text()
        except FileNotFoundError:
            return {}
        try:
            listed = json.loads(text)["pages"]
            self._unfinished = "unfinished" in json.loads(text)
        except (ValueError, KeyError, TypeError):
            listed = None
        if not isinstance(listed, dict):
            raise FormatError(f"{self._path / _LIST} is not a list of pages: remove it, and use overwrite=True")
        return {str(name): str(digest) for name, digest in listed.items()}

    def check(self, names: Iterable[str]) -> None:
        """Raises: FileExistsError: files are in the way that this did not write, or that were changed since."""
        if self._overwrite:
            return
        for name in names:
            digest = _digest(self._path / name)
            if digest is not None and digest != self._before.get(name) and not self._is_own(name):
                raise FileExistsError(
                    f"{self._path / name} was not written by an export, or was changed since: keep it elsewhere, or "
                    "overwrite it (overwrite=True)"
                )

    def _is_own(self, name: str) -> bool:
        """Whether a run that was cut short has written it."""
        with open(self._path / name, "rb") as file:
            return self._unfinished and file.read(len(MARK)) == MARK.encode()

    def begin(self) -> None:
        """From now on pages are other ones than the list says, until it is finished."""
        self._list(self._before, unfinished=True)

    def _list(self, pages: dict[str, str], **more: bool) -> None:
        text = json.dumps({"pages": dict(sorted(pages.items())), **more}, ensure_ascii=False, indent=1)
        replace_file(self._path / _LIST, [text + "\n"])

    def write(self, name: str, text: str) -> None:
        """Write a page, if it is another one than is there."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        self._now[name] = digest
        if _digest(self._path / name) != digest:
            replace_file(self._path / name, [text])
            self.written += 1

    def finish(self) -> int:
        """Remove pages that are no more, unless they were changed; return how many."""
        gone = [
            name for name, digest in self._before.items() if name not in self._now and os.path.basename(name) == name
        ]
        removed = 0
        for name in gone:
            if _digest(self._path / name) == self._before[name]:
                (self._path / name).unlink()
                removed += 1
        self._list(self._now)
        return removed


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None
