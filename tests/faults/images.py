"""What a disk may hold when the power fails, after a program's system calls up to some moment.

What was synced is there. Each write and each cut since then may be there or not, whatever its order; of a write any of
its 512-byte sectors may be there. A name that was made or removed may be so on the disk or not, until its folder is
synced. That is more than any one file system does wrong; see "All File Systems Are Not Created Equal" (OSDI 2014).

What a sync that failed was to write is not on the disk, or in part, and no later sync writes it, unless it is written
anew: Linux takes it for clean ("Can Applications Recover from fsync Failures?", USENIX ATC 2020).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.traced import Call

SECTOR = 512
CALLS = ("openat", "pwrite64", "ftruncate", "fdatasync", "fsync", "unlink", "write")


@dataclass(frozen=True, slots=True)
class _Write:
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class _Cut:
    size: int


@dataclass
class _File:
    synced: bytearray = field(default_factory=bytearray)
    since: list[tuple[_Write | _Cut, bool]] = field(default_factory=list)  # behind a failure; whether it is synced
    pending: list[_Write | _Cut] = field(default_factory=list)
    named: bool = False  # on the disk
    gone: bool = False  # removed, perhaps not on the disk

    def sync(self, *, failed: bool) -> None:
        if failed or self.since:
            self.since += [(change, not failed) for change in self.pending]
        else:
            for change in self.pending:
                _apply(self.synced, change)
        self.pending.clear()


class Disk:
    """Follows the calls on ``database``, its log and its journal.

    ``deaf``: it does nothing when it is told to sync; no promise holds on such a disk.
    """

    def __init__(self, database: Path, *, deaf: bool = False) -> None:
        self._folder = str(database.parent)
        self._files = {f"{database}{suffix}": _File() for suffix in ("", "-wal", "-journal")}
        self._exist: set[str] = set()
        self._deaf = deaf

    def follow(self, call: Call) -> None:
        """Writes count from when they began; syncs when they are done."""
        if call.name in ("openat", "unlink"):
            self._follow_name(call)
        elif call.name == "pwrite64" and (file := self._files.get(call.file())) is not None:
            _, offset = call.numbers()
            write = _Write(offset, call.bytes(0))
            if call.result is None or file.pending[-1:] != [write]:  # not told already when it began
                file.pending.append(write)
        elif call.name == "ftruncate" and (file := self._files.get(call.file())) is not None:
            cut = _Cut(call.numbers()[-1])
            if call.result is None or file.pending[-1:] != [cut]:
                file.pending.append(cut)
        elif call.name in ("fdatasync", "fsync") and call.result is not None and not self._deaf:
            if (synced := self._files.get(call.file())) is not None:
                synced.sync(failed=call.result != 0)
            elif call.file() == self._folder and call.result == 0:
                for name, file in self._files.items():
                    file.named = name in self._exist
                    file.gone = False

    def _follow_name(self, call: Call) -> None:
        name = call.bytes(0).decode(errors="replace")
        file = self._files.get(name)
        if file is None or (call.result or 0) < 0:
            return
        if call.name == "unlink":
            self._exist.discard(name)
            file.gone = True
        elif "O_CREAT" in call.text and name not in self._exist:
            self._exist.add(name)
            if file.gone:
                file.synced.clear()  # a new file of an old name; that the old one comes back is left out
                file.since.clear()
            file.pending.clear()
            file.gone = False

    def power_fails(self, choice: random.Random, folder: Path) -> None:
        """Writes one possible state of the disk into ``folder``."""
        keep = choice.choice([_all, _none, _each, _sectors, _first_and_torn])
        for name, file in self._files.items():
            exists = name in self._exist
            if exists and not file.named:
                exists = choice.random() < 0.8
            elif not exists and file.gone and file.named:
                exists = choice.random() < 0.5
            if exists:
                content = bytearray(file.synced)
                share = choice.random()
                for change, synced in file.since:
                    if synced or choice.random() < share:
                        _apply(content, change)
                for change in keep(choice, file.pending):
                    _apply(content, change)
                (folder / Path(name).name).write_bytes(content)


def _apply(content: bytearray, change: _Write | _Cut) -> None:
    if isinstance(change, _Cut):
        del content[change.size :]
        content.extend(bytes(change.size - len(content)))
    else:
        content.extend(bytes(max(0, change.offset - len(content))))
        content[change.offset : change.offset + len(change.data)] = change.data


# -- which of the changes that were not synced are there ----------------------------------------------------------

Pending = list[_Write | _Cut]
Keep = Callable[[random.Random, Pending], Pending]


def _all(choice: random.Random, pending: Pending) -> Pending:
    return pending


def _none(choice: random.Random, pending: Pending) -> Pending:
    return []


def _each(choice: random.Random, pending: Pending) -> Pending:
    share = choice.random()
    return [change for change in pending if choice.random() < share]


def _sectors(choice: random.Random, pending: Pending) -> Pending:
    share = choice.random()
    kept: Pending = []
    for change in pending:
        if isinstance(change, _Write):
            kept += [sector for sector in _cut_up(change) if choice.random() < share]
        elif choice.random() < share:
            kept.append(change)
    return kept


def _first_and_torn(choice: random.Random, pending: Pending) -> Pending:
    """As a disk that writes in order."""
    if not pending:
        return []
    count = choice.randrange(len(pending))
    torn = pending[count]
    sectors: Pending = list(_cut_up(torn)) if isinstance(torn, _Write) else []
    return pending[:count] + sectors[: choice.randint(0, len(sectors))]


def _cut_up(write: _Write) -> list[_Write]:
    """Its sectors; those of the disk, not of the write."""
    parts = []
    start = write.offset
    end = write.offset + len(write.data)
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        parts.append(_Write(start, write.data[start - write.offset : stop - write.offset]))
        start = stop
    return parts
