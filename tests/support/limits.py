"""A disk that fails: the log may not grow beyond a limit that is set for this process, which is a real I/O error."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["log_can_grow_by"]

_FRAME = 4096 + 24


@contextmanager
def log_can_grow_by(frames: int, path: Path) -> Iterator[None]:
    """A COMMIT writes the frames of its transaction behind the log's end, so what fits below the limit succeeds.

    The log must be longer than anything that the test run itself may write meanwhile.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = os.stat(f"{path}-wal").st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + frames * _FRAME + _FRAME // 2, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
