"""Modules that annotations name and programs may never need: they are imported when a name of theirs is used."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["Later"]


class Later:
    """Stands for a module, so that ``typing.get_type_hints`` finds what an annotation names."""

    def __init__(self, name: str, package: str | None = None) -> None:
        self._where = (name, package)

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(*self._where), name)
