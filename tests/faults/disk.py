"""A small ext4 on a loop image that can lose its power."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

# EXT4_IOC_SHUTDOWN of linux/fs/ext4/ext4.h, and its way to go: at once, what is not on the disk yet is lost.
_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = 2
_BYTES = 64 << 20


class Disk:
    """Mounted at ``folder`` inside its block::

    with Disk(tmp_path) as disk:
        ...             # a process writes under disk.folder
        disk.cut()      # from here on all that it does there fails; it must end before the next line
        disk.restart()  # the power is back: there is what had reached the disk
    """

    def __init__(self, place: Path) -> None:
        self.folder = place / "disk"
        self._image = place / "disk.img"

    def __enter__(self) -> Self:
        self.folder.mkdir()
        with open(self._image, "wb") as image:
            image.truncate(_BYTES)
        _run("mkfs.ext4", "-q", "-F", str(self._image))
        self._mount()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _run("umount", str(self.folder))
        self.folder.rmdir()
        self._image.unlink()

    def cut(self) -> int:
        """Returns the moment at which it began, as ``time.monotonic_ns()``.

        It takes some milliseconds. A sync that is under way meanwhile may return success and be lost (Linux 6.18), so
        what was acknowledged after that moment proves nothing: behind a real cut no program hears it.
        """
        began = time.monotonic_ns()
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(folder)
        return began

    def restart(self) -> None:
        """Raises ``CalledProcessError`` while a process has a file open there.

        A mount namespace that another test makes meanwhile keeps the file system that was shut down, and a new mount of
        the same image would be of that one. So a copy of the image is mounted.
        """
        _run("umount", str(self.folder))
        copy = self._image.with_suffix(".copy")
        shutil.copyfile(self._image, copy)
        copy.replace(self._image)
        self._mount()

    def _mount(self) -> None:
        _run("mount", "-o", "loop", str(self._image), str(self.folder))


@cache
def why_not(place: Path) -> str | None:
    """Why there can be no such disk here, or None."""
    if os.geteuid() != 0:
        return "only root may mount a file system"
    if shutil.which("mkfs.ext4") is None:
        return "mkfs.ext4 is not installed (e2fsprogs)"
    probe = place / "probe"
    probe.mkdir()
    try:
        with Disk(probe) as disk:
            disk.cut()
            disk.restart()
    except (OSError, subprocess.CalledProcessError) as error:
        with suppress(subprocess.CalledProcessError):
            _run("umount", str(probe / "disk"))
        return f"no file system can be mounted and shut down here: {error}"
    return None


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
