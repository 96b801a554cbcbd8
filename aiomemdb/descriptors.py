"""Which files the process has open, and which of them a forked child has inherited.

``import aiomemdb`` loads this room, before any engine: a child can't find out afterwards what its parent had open at
the fork. It asks the descriptors (/dev/fd, on Linux and macOS).
"""

import os
import stat
from collections.abc import Iterator
from typing import TypeAlias

__all__ = ["Identity", "identity_behind", "identity_of", "inherited", "open_files"]

Identity: TypeAlias = tuple[int, int]  # device and inode

# Where /dev/fd is missing (a chroot without /proc), these are asked one by one: databases are opened early.
_DESCRIPTORS_WITHOUT_A_LIST = range(1024)


def open_files() -> Iterator[tuple[int, Identity]]:
    """The descriptors of regular files, and which file each is of."""
    try:
        descriptors = [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        descriptors = [*_DESCRIPTORS_WITHOUT_A_LIST]
    for descriptor in descriptors:
        if (identity := identity_behind(descriptor)) is not None:
            yield descriptor, identity


def identity_behind(descriptor: int) -> Identity | None:
    try:
        status = os.fstat(descriptor)
    except OSError:  # closed meanwhile
        return None
    return identity_of(status) if stat.S_ISREG(status.st_mode) else None


def identity_of(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino


#: In a forked child: the descriptors of regular files at the fork, and which file each was of.
inherited: dict[int, Identity] = {}


def _note_inherited() -> None:
    inherited.clear()
    inherited.update(open_files())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_inherited)
