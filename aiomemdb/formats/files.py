"""Text files that are read and written: plain, compressed by their suffix, or a pipe. All of it blocks."""

from __future__ import annotations

import gzip
import importlib
import io
import os
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeAlias

from ..errors import FormatError

__all__ = ["Source", "Target", "opened_twice", "replace_file", "writing"]

#: A path, "-" for standard input or output, or an open file.
Source: TypeAlias = str | os.PathLike[str] | IO[Any]
Target: TypeAlias = str | os.PathLike[str] | IO[Any]

# Bytes of a pipe that are kept in memory until it has ended; more of them are kept in a temporary file.
_IN_MEMORY = 1 << 22


def replace_file(path: str | os.PathLike[str], pieces: Iterable[str]) -> None:
    """Write a file beside the one at ``path``, then put it in its place: a reader sees the old one or the new one, and
    so it is after a power cut.

    Raises: OSError; what ``pieces`` raises. The file is as it was then.
    """
    with writing(path, overwrite=True) as write:
        for piece in pieces:
            write(piece)


class _Writer:
    """Writes text as UTF-8; a newline stays one."""

    def __init__(self, file: IO[Any]) -> None:
        self._write = file.write
        self._takes_text = isinstance(file, io.TextIOBase)

    def __call__(self, text: str) -> None:
        self._write(text if self._takes_text else text.encode())


@contextmanager
def writing(target: Target, *, overwrite: bool) -> Iterator[_Writer]:
    """What writes to a target. A file appears whole when the block ends, and does not where it raises.

    Raises: FileExistsError: there is one, and it is not to be overwritten; OSError; ValueError: see ``_compressed``.
    """
    if target == "-":
        yield _Writer(sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    if not isinstance(target, str | os.PathLike):
        yield _Writer(target)
        return
    path = Path(target)
    _check_suffix(path)
    if not overwrite and os.path.lexists(path):
        raise _exists(path)
    folder, name = path.resolve().parent, path.resolve().name
    descriptor, beside = tempfile.mkstemp(prefix=f".{name[:100]}.", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with _compressed(path, file, "wb") as inner:
                yield _Writer(inner)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, _mode(path))
        _put(beside, folder / name, overwrite=overwrite)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(beside)
        raise
    _sync(folder)


def _exists(path: Path) -> FileExistsError:
    return FileExistsError(f"there is a file {path} already: choose another one, or overwrite it (overwrite=True)")


def _put(beside: str, path: Path, *, overwrite: bool) -> None:
    if overwrite:
        os.replace(beside, path)
        return
    try:
        os.link(beside, path)  # fails where one has appeared meanwhile
    except FileExistsError:
        raise _exists(path) from None
    except OSError:  # a file system without links
        os.replace(beside, path)
        return
    os.unlink(beside)


def _mode(path: Path) -> int:
    """That of the file that is replaced, or of a new one."""
    try:
        return path.stat().st_mode & 0o7777
    except FileNotFoundError:
        mask = os.umask(0o077)
        os.umask(mask)
        return 0o666 & ~mask


def _sync(folder: Path) -> None:
    """So that the new name is on the disk too."""
    with suppress(OSError):  # not every system opens folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# -- reading -----------------------------------------------------------------------------------------------------------


@contextmanager
def opened_twice(source: Source) -> Iterator[IO[bytes]]:
    """A source as bytes that can be read again from the start, however it comes: a pipe is copied until it ends.

    Raises: OSError; FormatError: it is not compressed as its suffix says.
    """
    if isinstance(source, str | os.PathLike) and source != "-":
        path = Path(source)
        _check_suffix(path)
        with open(path, "rb") as file, _compressed(path, file, "rb") as inner:
            if file.seekable():
                yield inner
                return
            with _copied(inner) as copy:
                yield copy
        return
    with _copied(sys.stdin.buffer if isinstance(source, str | os.PathLike) else source) as copy:
        yield copy


@contextmanager
def _copied(file: IO[Any]) -> Iterator[IO[bytes]]:
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as copy:
        while piece := file.read(1 << 16):
            copy.write(piece.encode() if isinstance(piece, str) else piece)
        copy.seek(0)
        yield copy


# -- compression -------------------------------------------------------------------------------------------------------


def _check_suffix(path: Path) -> None:
    """Raises: ValueError: this Python can't read or write such a file."""
    if path.suffix == ".zst" and _zstd() is None:
        raise ValueError(f"{path}: Python reads and writes .zst from version 3.14 on; use .gz, or no compression")


def _zstd() -> Any:
    try:
        return importlib.import_module("compression.zstd")
    except ImportError:
        return None


@contextmanager
def _compressed(path: Path, file: IO[bytes], mode: str) -> Iterator[IO[bytes]]:
    if path.suffix not in (".gz", ".zst"):
        yield file
        return
    # The same text is the same bytes: no time and no name go in.
    inner: Any
    broken: tuple[type[Exception], ...]
    if path.suffix == ".gz":
        inner = gzip.GzipFile(filename="", mode=mode, fileobj=file, mtime=0, compresslevel=6)
        broken = (EOFError, gzip.BadGzipFile, zlib.error)
    else:
        inner = _zstd().ZstdFile(file, mode)
        broken = (EOFError, _zstd().ZstdError)
    try:
        with inner:
            yield inner
    except broken as error:
        raise FormatError(f"{path} is no whole {path.suffix} file: {error}") from error
