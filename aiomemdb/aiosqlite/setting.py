"""What one connection sets and all connections of its file have: functions, extensions, callbacks."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any  # Any: a function of a user's may return anything

from ..sqlite.connection import settings
from .sharing import Shared

__all__ = ["SetOnAll"]


class SetOnAll:
    """The verbs of a connection that set something."""

    _shared: Shared | None = None
    _may_load = False

    def _check(self) -> object:
        raise NotImplementedError

    def _set(self, setting: settings.Setting) -> None:
        self._check()
        assert self._shared is not None
        self._shared.database._set(setting)

    async def create_function(
        self, name: str, num_params: int, func: Callable[..., Any] | None, deterministic: bool = False
    ) -> None:
        """Make a function that SQL may call, on all connections of this file."""
        self._set(settings.function(name, num_params, func, deterministic=deterministic))

    async def enable_load_extension(self, value: bool) -> None:
        """Allow ``load_extension``."""
        self._check()
        if not hasattr(sqlite3.Connection, "enable_load_extension"):
            raise AttributeError("this Python was built without loadable extensions of SQLite")
        self._may_load = bool(value)

    async def load_extension(self, path: str) -> None:
        """Load an extension, on all connections of this file."""
        self._check()
        if not self._may_load:
            raise sqlite3.OperationalError("not authorized")
        self._set(settings.extension(path))

    async def set_progress_handler(self, handler: Callable[[], int | None] | None, n: int) -> None:
        """Have a function asked, every ``n`` instructions, on all connections of this file."""
        self._set(settings.progress_handler(handler, n))

    async def set_trace_callback(self, handler: Callable[[str], object] | None) -> None:
        """Have a function told of each statement, on all connections of this file."""
        self._set(settings.trace_callback(handler))

    async def set_authorizer(self, authorizer_callback: Callable[..., int] | None) -> None:
        """Have a function asked what may be done, behind the library's own, on all connections of this file."""
        self._set(settings.authorizer(authorizer_callback))
